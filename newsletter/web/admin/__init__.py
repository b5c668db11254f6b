"""The admin area: one module a page; `guard.py` decides who gets in, `frame.py` draws, `area.py` puts them together."""
