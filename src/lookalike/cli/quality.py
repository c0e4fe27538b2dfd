"""Prints how good the search of a collection is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lookalike.cli.output import OutputFiles, counted, note, print_json, say
from lookalike.display.advice import order_advice
from lookalike.display.text import safe_text, score_text, share_text, time_text

if TYPE_CHECKING:
    from lookalike.evaluation.results import Calibration, Evaluation, OrderQuality
    from lookalike.metrics import LabelQuality

_SHOWN_LABELS = 40
_LABEL_COLUMNS = 36  # which leaves room for the numbers on 80 columns


def print_evaluation(evaluation: "Evaluation", files: OutputFiles, *, as_json: bool) -> None:
    """Prints how good the search is, as JSON or as a table, and writes a page if one is wanted."""
    if as_json:
        from lookalike.display.json import evaluation_as_dict

        print_json(evaluation_as_dict(evaluation))
    else:
        _print_quality(evaluation)
    if files.html:
        from lookalike.display.report import write_report

        write_report(evaluation, files.html, overwrite=files.overwrite)
        note(f"Wrote {safe_text(files.html)}")


def _print_quality(evaluation: "Evaluation") -> None:
    asked = counted(evaluation.queries, "query").replace("querys", "queries")
    recall, low = share_text(evaluation.recall), share_text(evaluation.recall_low)
    say(f"{f'recall@{evaluation.k}':<14} {recall} (95% lower bound {low}), {asked}")
    exact = f"exact search {time_text(evaluation.exact_milliseconds)}"
    if not evaluation.spec:
        exact = "every search is exact, since there is no index"
    say(f"{'time':<14} {time_text(evaluation.milliseconds)} a query; {exact}")
    if evaluation.precision_at_1 is None:
        say("Precision was not measured: it needs at least two labels, one of them with at least two images.")
        _print_calibration("of a copy", evaluation.copy_calibration)
        _print_orders(evaluation.orders)
        return
    for name, mean in (
        ("precision@1", evaluation.precision_at_1),
        ("precision@10", evaluation.precision_at_10),
        ("mAP", evaluation.mean_average_precision),
    ):
        if mean is not None:
            say(f"{name:<14} {score_text(mean)}")
    _print_calibration("probability", evaluation.calibration)
    _print_calibration("of a copy", evaluation.copy_calibration)
    _print_orders(evaluation.orders)
    _print_labels(evaluation.labels)


def _print_calibration(name: str, calibration: "Calibration | None") -> None:
    """Prints how far the probabilities of matches hold."""
    if calibration is None:
        return
    told = calibration.auroc, calibration.auroc_of_centred, calibration.auroc_of_score
    auroc = [score_text(each) for each in told if each is not None]
    tells = f"; AUROC {auroc[0]} (centred cosine {auroc[1]}, score {auroc[2]})" if len(auroc) == len(told) else ""
    say(f"{name:<14} off by {score_text(calibration.error)}{tells}")


def _print_orders(orders: "Sequence[OrderQuality]") -> None:
    """Prints the orders side by side, and says what each is better for."""
    if not any(order.copies_first is not None or order.precision_at_1 is not None for order in orders):
        return
    say(f"\n{'order':<8}  {'precision@1':>11}  {'precision@10':>12}  {'mAP':>5}  {'copy first':>10}  time")
    for order in orders:
        numbers = (order.precision_at_1, order.precision_at_10, order.mean_average_precision, order.copies_first)
        texts = ["-" if number is None else score_text(number) for number in numbers]
        time = "-" if order.milliseconds is None else time_text(order.milliseconds)
        say(f"{order.name:<8}  {texts[0]:>11}  {texts[1]:>12}  {texts[2]:>5}  {texts[3]:>10}  {time}")
    for sentence in order_advice(orders):
        say(sentence)


def _print_labels(labels: "Sequence[LabelQuality]") -> None:
    """Prints the quality of each label, in lines of at most 80 columns."""
    from rich.cells import cell_len, set_cell_size

    from lookalike.display.text import shortened

    names = [shortened(safe_text(label.label), _LABEL_COLUMNS) for label in labels[:_SHOWN_LABELS]]
    width = max(map(cell_len, ["label", *names]))
    say(f"\n{'label':<{width}}  images  precision@1  precision@10    mAP")
    for name, label in zip(names, labels, strict=False):
        say(
            f"{set_cell_size(name, width)}  {label.images:>6,}  {score_text(label.precision_at_1):>11}"
            f"  {score_text(label.precision_at_10):>12}  {score_text(label.mean_average_precision):>5}"
        )
    if len(labels) > _SHOWN_LABELS:
        say(f"and {len(labels) - _SHOWN_LABELS:,} more labels with better precision; list them with --json")
