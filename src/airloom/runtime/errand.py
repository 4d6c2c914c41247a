"""In the place of a work socket, for a runner that is there for one try: hands it over, and hears how it goes."""

from collections.abc import Callable, Iterable

from airloom.model.report import Cause, Ended, HandedBack, Report
from airloom.model.wire import Claimed, Standing, Stop, Submit, ToIntake
from airloom.model.work import Work


class Errand:
    """One try, to be run and told of. `shown` is called with the path of its log whenever something was written to it;
    `hopeless` says that the server will not have the try begun."""

    #: nobody else is waited for
    alone_since: float | None = None

    def __init__(self, work: Work, shown: Callable[[str], None], hopeless: Callable[[], bool]) -> None:
        self.shown = shown
        self._work = work
        self._hopeless = hopeless
        self._ordered: Callable[[ToIntake], None] = _nothing
        #: the server has given the try to this runner
        self.granted = False
        #: why it has not
        self.refused = ""
        #: how the try ended, or that it was handed back
        self.end: Ended | HandedBack | None = None
        #: why the runner takes no work, if it does not
        self.why_not = ""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.end is not None or bool(self.refused)

    def telling(self, report: Callable[[Report], None]) -> Callable[[Report], None]:
        """`report`, for all but an end by SIGTERM: why the pod is ended, as for its disk, its deadline or its node, and
        so whose budget that costs, only who sees the pod can tell."""

        def tell(told: Report) -> None:
            if isinstance(told, Ended) and told.cause is Cause.STOPPED:
                self.end = told
            else:
                report(told)

        return tell

    def begin(self, ordered: Callable[[ToIntake], None]) -> None:
        """Hand the work over."""
        self._ordered = ordered
        ordered(Submit(works=(self._work,)))

    def stand(self, standing: Standing) -> None:
        """Whether work is taken."""
        self.why_not = standing.why
        if not self.granted and not self.over and self._hopeless():
            self._ordered(Stop(grace=0.0))

    def sign(self) -> None:
        """A sign of life, which this does not need."""

    def answer(self, claimed: Claimed) -> None:
        """Whether the try is this runner's."""
        self.granted = self.granted or self._work.key in claimed.granted
        self.refused = next((why for key, why in claimed.refused if key == self._work.key), self.refused)

    def tell(self, reports: Iterable[Report]) -> None:
        """What became of it."""
        for report in reports:
            if isinstance(report, (Ended, HandedBack)) and report.key == self._work.key:
                self.end = report

    def close(self) -> None:
        """Nothing is held."""


def _nothing(_order: ToIntake) -> None:
    return
