"""The server: a queue that loses nothing, a library of pictures, three HTTP dialects and a page."""
