"""Sigmascope: router only. Page configuration, navigation, and the sidebar that every page shares."""

from __future__ import annotations

import streamlit as st

from pages.components import sidebar
from pages.components.navigation import mark_routed, pages
from pages.components.style import LOGO, style

st.set_page_config(page_title="Sigmascope", page_icon=":material/lens_blur:", layout="wide")
st.logo(str(LOGO), size="large")
offered = pages()
page = st.navigation(offered, position="hidden")  # the sidebar draws it
mark_routed()
style()
sidebar.draw(page, offered)
page.run()
