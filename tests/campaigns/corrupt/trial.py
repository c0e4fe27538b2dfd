"""Opens, searches and checks a collection with a damaged file, and judges what happens."""

import random
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookalike import Collection
from lookalike.errors import CorruptError, DamagedIndexWarning, LookalikeError, UsageError
from tests.campaigns.corrupt.damages import Case
from tests.campaigns.corrupt.originals import CARD, CATALOG, INDEX, VECTORS, open_collection
from tests.campaigns.corrupt.questions import Answered, Truth, is_same

REPAIRS = 1 / 20  # the share of the collections that are repaired after all questions


@dataclass
class Trial:
    """A collection with a damaged file.

    Attributes:
        case: the damaged file.
        directory: where the collection is copied to.
        truth: how the undamaged collection answers.
        problems: what went wrong.
        outcome: how the damage was noticed.
    """

    case: Case
    directory: Path
    truth: Truth
    problems: list[str] = field(default_factory=list)
    outcome: str = "not noticed"

    def run(self) -> None:
        """Makes the copy, and fills in the problems and the outcome."""
        self.case.original.copy_to(self.directory)
        path = self.directory / self.case.name
        if self.case.data is None:
            path.unlink()
        else:
            path.write_bytes(self.case.data)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self._use(caught)
        except LookalikeError as error:
            self._judge_refusal(error)
        except BaseException:
            self.problems.append(traceback.format_exc())

    def _use(self, caught: Sequence[warnings.WarningMessage]) -> None:
        with open_collection(self.directory) as photos:
            answers = list(self._answers(photos))
            damages = photos.check()
            warned = [str(each.message) for each in caught if issubclass(each.category, DamagedIndexWarning)]
            for each in caught:
                if not issubclass(each.category, DamagedIndexWarning):
                    self.problems.append(f"it warns: {each.message}")
            match self.case.kind:
                case "index" | "card":
                    self._judge_index(answers, damages, warned)
                case "vectors":
                    self._judge_vectors(answers, damages)
                case _:
                    self._judge_other(answers, damages)
            if random.Random(self.case.number).random() < REPAIRS:
                self._repair(photos)

    def _answers(self, photos: Collection) -> Iterator[Answered]:
        """The answers to all questions, in another order each time: the first of them finds the damage."""
        order = [(number, exact) for number in range(len(self.truth.questions)) for exact in (False, True)]
        random.Random(self.case.number).shuffle(order)
        for number, exact in order:
            try:
                yield Answered(number, exact, self.truth.questions[number].ask(photos, exact=exact))
            except LookalikeError as error:
                yield Answered(number, exact, error=error)

    def _judge_refusal(self, error: LookalikeError) -> None:
        """Judges an error of opening, or of checking a catalog."""
        self.outcome = "refused"
        if self.case.kind in (INDEX, CARD, VECTORS):
            self.problems.append(f"it cannot be opened: {error}")

    def _judge_index(self, answers: Sequence[Answered], damages: Sequence[str], warned: Sequence[str]) -> None:
        """A damaged index gives one warning and one finding of `check`, and every answer is the exact one."""
        self.outcome = "noticed by a search"
        if len(warned) != 1 or self.case.name not in warned[0]:
            self.problems.append(f"it warns {warned}")
        if len(damages) != 1 or self.case.name not in damages[0]:
            self.problems.append(f"check() says {damages}")
        for answer in answers:
            if answer.error or not is_same(answer.found, self.truth.exact[answer.question]):
                self.problems.append(f"question {answer} is not answered exactly")

    def _judge_vectors(self, answers: Sequence[Answered], damages: Sequence[str]) -> None:
        """With damaged vectors, what comes back is right; if something is missing, `check` names the file."""
        if self.case.is_harmless:
            self.outcome = "harmless"
            if damages or any(not self._is_as_before(answer) for answer in answers):
                self.problems.append(f"what counts is as it was, and yet: {damages}, {answers}")
            return
        refused = [answer for answer in answers if answer.error]
        incomplete = [answer for answer in answers if not answer.error and not self._is_as_before(answer)]
        self.outcome = f"noticed by {'a search' if refused else 'check'}{', others missing it' if incomplete else ''}"
        if not damages or any(self.case.name not in damage for damage in damages):
            self.problems.append(f"check() says {damages}")
        for answer in refused:
            if not isinstance(answer.error, CorruptError) or self.case.name not in str(answer.error):
                self.problems.append(f"question {answer}")
        for answer in incomplete:
            self.problems += self.truth.wrong(answer)

    def _judge_other(self, answers: Sequence[Answered], damages: Sequence[str]) -> None:
        """Errors of Lookalike's own are right, or plausible answers: the catalog's bytes have no checksums."""
        refused = [answer for answer in answers if answer.error]
        self.outcome = "noticed by a search" if refused else "noticed by check" if damages else "plausible"
        if not refused and not damages and all(self._is_as_before(answer) for answer in answers):
            self.outcome = "harmless"
        for answer in answers:
            # The image whose id was asked for may be gone.
            if answer.error and not isinstance(answer.error, CorruptError | UsageError):
                self.problems.append(f"question {answer}")
            scores = [score for *_, score in answer.found]
            if not all(-1 <= score <= 1 for score in scores):
                self.problems.append(f"question {answer}: these are no scores")
        if self.case.damage == "swap" and self.case.kind == CATALOG and not (refused and damages):
            self.problems.append(f"a catalog of other images goes unnoticed: {damages}, {answers}")

    def _is_as_before(self, answer: Answered) -> bool:
        before = self.truth.exact if answer.exact else self.truth.indexed
        return not answer.error and is_same(answer.found, before[answer.question])

    # Repairing it

    def _repair(self, photos: Collection) -> None:
        if self.case.kind in (INDEX, CARD):
            if self.case.kind == CARD and self.case.number % 2:
                photos.maintain()  # which finds an index of which nothing is known
            else:
                photos.build(spec=self.case.original.spec)
            self._judge_repaired(photos)
        elif self.case.is_harmless:
            photos.add([])  # every writer cuts off what is behind the committed vectors
            self._judge_repaired(photos)
            size = (self.directory / self.case.name).stat().st_size
            if size != len(self.case.original.files[self.case.name]):
                self.problems.append(f"{size} bytes are left of the file")
        elif self.case.kind == VECTORS:
            try:
                photos.build(spec=self.case.original.spec)
            except CorruptError:
                return
            self._judge_repaired(photos)  # the damaged vector was a dead one
        else:
            try:
                photos.build(spec=self.case.original.spec)
                photos.remove(["first"])
            except LookalikeError:
                return

    def _judge_repaired(self, photos: Collection) -> None:
        if damages := photos.check():
            self.problems.append(f"after the repair check() says {damages}")
        for number, question in enumerate(self.truth.questions):
            if not is_same(question.ask(photos, exact=True), self.truth.exact[number]):
                self.problems.append(f"after the repair question {number} has another answer")
            answer = Answered(number, False, question.ask(photos, exact=False))
            self.problems += self.truth.wrong(answer)
            # An index need not find all above a score, but as many as there are without one.
            if question.min_score is None and len(answer.found) != len(self.truth.indexed[number]):
                self.problems.append(f"after the repair question {number} has {len(answer.found)} answers")
