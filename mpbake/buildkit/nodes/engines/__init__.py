"""Docker engines: their endpoints, contexts and facts."""
