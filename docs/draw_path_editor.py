"""Draws docs/images/path-editor.png: the path editor as a browser shows it. Run it where Chromium is installed:

python docs/draw_path_editor.py
"""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from video4spatial.app.editor import PathEditor
from video4spatial.geometry.paths import Waypoint
from video4spatial.schema import Intrinsics

PATH = [Waypoint(), Waypoint(z=1.5), Waypoint(0.8, -0.2, 2.0, 1.0), Waypoint(1.9, -0.2, 2.0, 1.6, -0.15)]
WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def main():
    lens = Intrinsics.from_horizontal_fov(70, 416, 256)
    with PathEditor(lens, PATH, frames=81) as editor, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=WEBGL)
        page = browser.new_page(viewport={"width": 1200, "height": 760})
        page.goto(f"http://127.0.0.1:{editor.port}/")
        page.get_by_role("button", name="Play").wait_for()
        page.wait_for_timeout(4000)
        notice = page.locator(".mantine-Notification-closeButton")  # of a browser without a GPU
        if notice.count():
            notice.first.click()
        page.wait_for_timeout(3000)
        image = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    image = image.convert("RGB").quantize(200, dither=Image.Dither.NONE)
    image.save(Path(__file__).parent / "images" / "path-editor.png", optimize=True)


if __name__ == "__main__":
    main()
