"""A run: windows, workers, bookmarks."""
