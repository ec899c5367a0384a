"""Changed defaults of methods, so that configurations of older releases keep their meaning.

A configuration that is read gets today's defaults of these keys, and a run stores them: a stored configuration without
them is older.
"""

from __future__ import annotations

from typing import Any

from cplearn_solo.methods.catalog import method_facts

# By method, keys of method_kwargs with their defaults in 0.2.0.
EARLIER_DEFAULTS: dict[str, dict[str, Any]] = {
    "dino": {"use_bn_in_head": True},
    "swav": {"queue_size": 3840},
    "wmse": {"whitening_size": 128},
}


def with_todays_defaults(method: str, method_kwargs: dict[str, Any]) -> dict[str, Any]:
    """``method_kwargs`` with today's defaults for the changed keys that it lacks."""
    changed = EARLIER_DEFAULTS.get(method)
    if not changed:
        return method_kwargs
    defaults = method_facts(method).defaults
    return {**{key: defaults[key] for key in changed}, **method_kwargs}


def with_earlier_defaults(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored plain configuration, with the earlier defaults for the changed keys that it lacks."""
    earlier = EARLIER_DEFAULTS.get(stored.get("method", ""))
    if not earlier:
        return stored
    return {**stored, "method_kwargs": {**earlier, **(stored.get("method_kwargs") or {})}}
