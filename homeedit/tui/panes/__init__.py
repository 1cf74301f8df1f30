"""One module a tab: ``<id>.py`` holds ``<Id>Pane``."""
