"""The plan document: everything that a run would do, as one JSON value. `docs/plan-json.md` lists the fields. Pure."""
