"""What the page says."""

TITLE = "video4spatial"
LEAD = (
    "Give a walk-through video of a place. Then name an object to go to, or say where the camera shall move, and see a "
    "generated video of the same place. The video is all the model gets: no depth, no poses."
)
SMALL = (
    "The model is rooms-small, made to run anywhere: it knows rendered rooms and their words, its videos are small and "
    "blurred, and its boxes often miss the object."
)
CONTEXT = "1. Walk-through"
ASK = "2. Ask"
ASKS = "3. Earlier asks of this session"
PRIVATE = (
    "Videos stay on this machine, in a private folder that is removed when this tab closes. They are checked first: "
    "at most {megabytes:g} MB and {seconds:g} s."
)
SENTENCE = "What to go to"
SENTENCE_HINT = "the red armchair"
WAYPOINTS_INFO = (
    "One a line: x, y, z in metres, then yaw, pitch, roll in degrees. Right, down and forward are positive."
)
EXAMPLE_WAYPOINTS = "0, 0, 0, 0, 0, 0\n0, 0, 0.8, 30, 0, 0"


def lead(model: str, makes_rooms: bool) -> str:
    """The sentences under the title."""
    return f"{LEAD} {SMALL if makes_rooms and model == 'rooms-small' else f'Model: {model}.'}"
