"""Defaults of methods that have changed, so that what an older release left behind still means what it meant.

A configuration that is read gets today's values of these keys written into it, and so does what a run stores: one
without them is older.
"""

from __future__ import annotations

from typing import Any

from cplearn_solo.methods.catalog import method_facts

# By method, keys of method_kwargs with what 0.2.0 did for a configuration that does not say them.
EARLIER_DEFAULTS: dict[str, dict[str, Any]] = {
    "dino": {"use_bn_in_head": True},
    "swav": {"queue_size": 3840},
    "wmse": {"whitening_size": 128},
}


def with_todays_defaults(method: str, method_kwargs: dict[str, Any]) -> dict[str, Any]:
    """``method_kwargs`` that say each of these keys."""
    changed = EARLIER_DEFAULTS.get(method)
    if not changed:
        return method_kwargs
    defaults = method_facts(method).defaults
    return {**{key: defaults[key] for key in changed}, **method_kwargs}


def with_earlier_defaults(stored: dict[str, Any]) -> dict[str, Any]:
    """A plain configuration that some release stored, with these keys as that release had them."""
    earlier = EARLIER_DEFAULTS.get(stored.get("method", ""))
    if not earlier:
        return stored
    return {**stored, "method_kwargs": {**earlier, **(stored.get("method_kwargs") or {})}}
