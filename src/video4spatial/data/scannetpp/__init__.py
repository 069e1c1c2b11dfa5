"""ScanNet++ v2: iPhone videos with LiDAR depth and DSLR photographs, posed in the frame of annotated laser scans."""

from video4spatial.data.scannetpp.catalogue import ScanNetPP
from video4spatial.data.scannetpp.dslr import ScanNetPPPhotos
from video4spatial.data.scannetpp.scene import ScanNetPPOptions, ScanNetPPScene

__all__ = ["ScanNetPP", "ScanNetPPOptions", "ScanNetPPPhotos", "ScanNetPPScene"]
