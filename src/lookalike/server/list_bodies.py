"""The JSON of requests that look through the images by a filter; see bodies.py."""

from pydantic import ConfigDict, Field

from lookalike.filters import Where
from lookalike.server.bodies import Body, Filter


class AnyImage(Body):
    """Which images chance picks one from."""

    where: Filter | None = Field(None, description="All of them by default.")

    def chosen(self) -> Where | None:
        """The filter; raises UsageError for a value that no attribute can have."""
        return self.where.where() if self.where else None


class Listing(AnyImage):
    """Which images a list has."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"where": {"label": "cat"}, "limit": 100}]})

    after: int = Field(0, ge=0, lt=2**63, description="The id that it begins after: `next` of the page before.")
    limit: int = Field(50, ge=0, description="The most images; with 0 there are only facets.")
    facets: int | None = Field(
        None, ge=1, le=1000, description="Also counts all images that match: of each facet so many of its values."
    )
