"""buildx instances: their declaration, storage, creation and inspection."""
