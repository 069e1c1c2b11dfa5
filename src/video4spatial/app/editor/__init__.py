"""A 3D editor of camera paths in the browser, one viewer a session, behind the app's own door."""

from video4spatial.app.editor.view import PathEditor

__all__ = ["PathEditor"]
