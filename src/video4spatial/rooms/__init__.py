"""Rooms: a procedural world of furnished rooms, rendered on the CPU, with poses, depth, object ids and words known.

World frame of a room: z up, metres, the floor at z = 0, a corner at the origin. Poses are camera-to-world, OpenCV axes.
"""

from video4spatial.rooms.furniture import CATEGORIES
from video4spatial.rooms.layout.plan import RoomObject
from video4spatial.rooms.palette import COLOURS, PALETTE
from video4spatial.rooms.phrases import Target, vocabulary
from video4spatial.rooms.pointcloud import PointCloud
from video4spatial.rooms.room import Rendered, Room, make_room, object_box
from video4spatial.rooms.tours import tour
from video4spatial.rooms.viewpoint import NoViewpoint, best_view, is_centred
from video4spatial.rooms.waypoints import follow

__all__ = [
    "CATEGORIES",
    "COLOURS",
    "PALETTE",
    "NoViewpoint",
    "PointCloud",
    "Rendered",
    "Room",
    "RoomObject",
    "Target",
    "best_view",
    "follow",
    "is_centred",
    "make_room",
    "object_box",
    "tour",
    "vocabulary",
]
