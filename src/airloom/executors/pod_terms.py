"""What a pod that runs a try finds in itself, and how it ends: the terms between whoever makes it and the process that
runs in it (runtime/pod.py).
"""

#: what the container of the try runs; and, where the code is fetched before it, an init container
RUN = ("airloom", "pod")
FETCH = ("airloom", "pod", "--fetch")

#: the variable with LocalSettings as JSON, as they are for a pod (see below). Both containers need it. No secret is in
#: it, so it may stand in the manifest as it is, with each `$(` written `$$(`
SETTINGS = "AIRLOOM_POD"
#: the variable with the path of the work: one Submit message with one Work, as a frame. Both containers need the file,
#: read-only; it holds the try's token. Without the variable it is WORK_FILE: an item `path: work` of a volume that is
#: mounted at WORK_FOLDER
WORK = "AIRLOOM_POD_WORK"
WORK_FOLDER = "/run/airloom"
WORK_FILE = f"{WORK_FOLDER}/work"
#: the variable with the path of the termination message, if the container has another terminationMessagePath
LAST_WORDS = "AIRLOOM_POD_LAST_WORDS"
LAST_WORDS_FILE = "/dev/termination-log"

#: LocalSettings.home: an emptyDir that both containers mount, and that whoever the container runs as may write to.
#: Nothing else has to be writable, but tasks expect a /tmp. Not on memory: the log of the try is kept there
HOME = "/airloom"

# LocalSettings of a pod:
#   home HOME, name of the executor, owner id of the database, server and ca_file as pods reach it; parallelism 1.
#   token_file "", worker "", queues (): the token is in the work.
#   bundles: where the folders of DAG files are in the pod (a part of the image, a mount), by bundle.
#   repositories: the other bundles. token_file, ssh_key_file, known_hosts_file are paths in the container that fetches:
#     in an init container (FETCH), which alone mounts the secret with them; or, without one, in the container of the
#     try, which needs git then and lets the task read the secret. FETCH does nothing for work of a bundle in `bundles`.
#   lease LEASE, heartbeat HEARTBEAT: the executor sees at once when a pod dies, so signs of life may be rare.
#   grace: between SIGTERM and SIGKILL for the task. terminationGracePeriodSeconds is to be `grace_period(grace)`.
#   orphan_timeout: how long the pod tries to reach the server before it has begun, and to tell it the end; and to fetch
#     the code, which may take two minutes at most.
LEASE, HEARTBEAT = 300.0, 30.0
#: seconds beyond the task's own grace for the last lines and reports to leave
_LAST_REPORTS = 25.0

# How its container ends. In the termination message is why, in words, unless all is well.
#: the try has ended well, which the server knows
DONE = 0
#: the try has failed, or was handed back for want of its code, which the server knows
FAILED = 1
#: the try has not begun, through no fault of the task's: the server was not reached, or refuses the pod; the code could
#: not be fetched. It is to be handed back (HandedBack.lacks: time may help)
UNABLE = 75
#: the try was begun, here or by a container before this one, and the server could not be told how it ended; or it has
#: ended long since. If the server still takes it for live, it is lost
UNTOLD = 76
#: SIGTERM came, and has ended the try. The server was not told of its end: why, and whose budget that costs, is seen by
#: whoever sees the pod
STOPPED = 143


def grace_period(grace: float) -> int:
    """The terminationGracePeriodSeconds of a pod whose task has so many seconds to end."""
    return int(grace + _LAST_REPORTS) + 1
