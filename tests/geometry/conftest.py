"""A busy machine must not fail a property test: no deadlines."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
