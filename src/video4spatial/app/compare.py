"""Any two clips of a session, side by side: two choosers, two players, one button that starts both together."""

from collections.abc import Sequence

from video4spatial.app.asked import Outcome
from video4spatial.app.shown import address
from video4spatial.storage.page import escaped

SIDES = ("Left", "Right")


def compared(asks: Sequence[Outcome]) -> str:
    """The last two clips, to begin with; nothing while there are fewer."""
    made = [ask for ask in asks if ask.made]
    if len(made) < 2:
        return ""
    first = zip(SIDES, made[-2:], strict=True)
    choosers = "".join(_chooser(side, made, chosen) for side, chosen in first)
    players = "".join(f"<figure>{_PLAYER}<figcaption></figcaption></figure>" for _ in SIDES)
    return (
        f'<section class="v4s-card" aria-label="Two asks side by side"><h3>Two asks side by side</h3>'
        f'<div class="v4s-pair">{choosers}{players}</div>'
        '<p class="v4s-row"><button type="button" data-together>Play both asks</button></p></section>'
    )


_PLAYER = '<video controls loop muted playsinline preload="auto"></video>'


def _chooser(side: str, asks: Sequence[Outcome], chosen: Outcome) -> str:
    options = "".join(
        f'<option value="{ask.number}" data-file="{address(ask.files.get("shown", ask.files["video"]))}"'
        f"{' selected' if ask is chosen else ''}>{escaped(_name(ask))}</option>"
        for ask in reversed(asks)
    )
    return f'<label>{side} ask<select data-side="{side.lower()}">{options}</select></label>'


def _name(ask: Outcome) -> str:
    return f"{ask.number}. {ask.asked.words}, seed {ask.answer['settings']['seed']}"


SCRIPT = """
const chosen = {};
const show = (select, video) => {
  const option = select.selectedOptions[0];
  video.closest('figure').querySelector('figcaption').textContent = option.textContent;
  video.setAttribute('aria-label', select.dataset.side + ' video: ask ' + option.textContent);
  if (video.getAttribute('src') !== option.dataset.file) video.src = option.dataset.file;
};
const sides = () => {
  const videos = element.querySelectorAll('video');
  return [...element.querySelectorAll('select')].map((select, i) => [select, videos[i]]);
};
const draw = () => sides().forEach(([select, video]) => {
  const kept = chosen[select.dataset.side];
  if (kept && [...select.options].some(option => option.value === kept)) select.value = kept;
  show(select, video);
});
const atStart = video => new Promise(done => {
  video.pause();
  video.addEventListener(video.readyState ? 'seeked' : 'loadeddata', done, {once: true});
  video.currentTime = 0;
});
element.addEventListener('change', event => {
  if (!event.target.matches('select')) return;
  chosen[event.target.dataset.side] = event.target.value;
  draw();
});
element.addEventListener('click', async event => {
  if (!event.target.closest('button[data-together]')) return;
  const videos = sides().map(([, video]) => video);
  await Promise.all(videos.map(atStart));
  videos.forEach(video => video.play());
});
watch('value', draw);
draw();
"""
"""What was chosen stays chosen when an ask is added; both players are at their start before either begins."""
