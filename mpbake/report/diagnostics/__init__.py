"""Problems of a plan, as text, JSON or workflow commands."""
