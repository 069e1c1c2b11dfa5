"""The command that encodes beforehand."""

from video4spatial.cli import main


def test_it_says_what_the_store_holds_and_what_comes_next(encoded_store, pipeline_folder, capfd):
    arguments = ["--out", str(encoded_store), "--set", f"vae={pipeline_folder}"]
    assert main(["precompute", "grounding:tiny", *arguments]) == 0
    printed = capfd.readouterr().out
    assert "10 videos (0 new)" in printed
    assert "sentences (0 new)" in printed
    assert f"--set data.roots={encoded_store} --set previews=false" in printed


def test_mistakes_are_named(tmp_path, capfd):
    assert main(["precompute", "rooms:tiny_vae", "--out", str(tmp_path / "x")]) == 2
    assert "does not train a transformer" in capfd.readouterr().err
    assert main(["precompute", "grounding:tiny", "--out", str(tmp_path / "x")]) == 2
    assert "is not a latent store" in capfd.readouterr().err
