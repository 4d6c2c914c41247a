"""The operators that come with Airloom."""
