"""Pure arrays: poses, cameras, camera paths and their file formats, alignment, boxes."""
