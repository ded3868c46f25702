"""Plotly figures from plain frames; the pages only place them."""
