"""What a queue may be called."""

#: bytes: a broker's names have up to 255, and ours begin with a prefix there
LONGEST_QUEUE = 200


def queue_fault(name: str) -> str:
    """What is wrong with the name of a queue; "" if nothing is."""
    if not name or name != name.strip() or not name.isprintable():
        return "a queue's name has printable characters, and no spaces around them"
    if "," in name:
        return "a queue's name has no comma: `airloom worker -q` takes several names with commas between them"
    if len(name.encode()) > LONGEST_QUEUE:
        return f"a queue's name has up to {LONGEST_QUEUE} bytes"
    return ""
