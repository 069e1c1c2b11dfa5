"""Curation (paper section 6.2): a VLM finds what frames are centred on and puts the clips that end there into words."""
