"""What is said of further vectors: those of parts of images, and augmented ones."""

from typing import TYPE_CHECKING

from lookalike.cli.output import bytes_text, counted, duration

if TYPE_CHECKING:
    from lookalike.collection.estimates import RegionEstimate
    from lookalike.collection.info import RegionInfo
    from lookalike.collection.plan import Plan
    from lookalike.index.generation import Generation


def region_plan(regions: "RegionEstimate") -> str:
    """What the vectors of parts would take."""
    time = f"about {duration(regions.seconds)} of that time" if regions.seconds else "a time that no file tells"
    made = f"{regions.new:,} vectors to make, {time}" if regions.new else "no vectors to make"
    index = regions.searching.spec or "none"
    disk = bytes_text(regions.vector_bytes + regions.catalog_bytes)
    return f"{regions.per_image} of each image: {made}; {disk} of that disk; index {index}"


def augmented_plan(plan: "Plan") -> str:
    """What augmented vectors would take."""
    return (
        f"{bytes_text(plan.augmented_bytes)} and {duration(plan.augmented_seconds)} more with lookalike build --augment"
    )


def region_facts(regions: "RegionInfo") -> str:
    """What a collection keeps of parts of its images."""
    index = f"index {regions.spec}" if regions.spec else "no index"
    left = f"; {regions.without:,} images are still without: lookalike index" if regions.without else ""
    return f"{regions.per_image} of each image, {regions.vectors:,} vectors, {index}{left}"


def augmented_facts(count: int) -> str:
    """How many augmented vectors a collection keeps."""
    return f"{count:,} augmented vectors" if count else "augmented vectors, which are still to be made: lookalike index"


def built_for_regions(index: "Generation") -> str:
    """What is said of an index of parts that was built."""
    return f"Parts of images: {index.spec}, {index.bytes / 1e6:,.1f} MB for {counted(index.rows, 'vector')}"
