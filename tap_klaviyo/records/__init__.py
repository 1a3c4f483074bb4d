"""Pages of JSON in, RECORD lines out: bytes to bytes, without I/O.

A page takes one of two paths. If all its values fit the schema, :mod:`page_parser` decodes and
encodes it in a few calls. Otherwise :mod:`page_converter` first converts it into a page that fits:

* :mod:`transform` moves values by design, such as a field lifted out of a nested object;
* :mod:`conform` handles values that do not fit: converted if nothing is lost, else null and
  counted;
* :mod:`unknown_attributes` keeps what no schema describes, and lets later pages fit.
"""
