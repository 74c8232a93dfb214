"""The types that a store holds, by the names that the page of views gives them."""

from __future__ import annotations

from dualgauge.stores.serving import types

TYPES = (*types._PLAIN, "DECIMAL(p,s)", "ENUM", "LIST", "STRUCT")
