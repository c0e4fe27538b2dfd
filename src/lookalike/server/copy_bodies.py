"""The JSON of the routes for copies; see bodies.py."""

from typing import Literal

from pydantic import ConfigDict, Field

from lookalike.server.answer_bodies import Image
from lookalike.server.bodies import Body

DecisionName = Literal["marked", "kept"]


class DecidedImage(Image):
    """An image with what was decided on it."""

    decision: DecisionName | None = Field(description="To be acted upon, or to be kept; null if nothing was decided.")


class CopyOfImage(DecidedImage):
    """An image that is a copy."""

    grade: str = Field(description="How close it is: same bytes, same pixels, edited copy, same scene, or alike.")
    agreement: float = Field(description="How well the two pictures agree, in [0, 1].")
    probability: float | None = Field(
        description="That one of both is an edited copy of the other; null if their pictures were not compared."
    )
    reason: str = Field(description="Why, in words.")


class Group(Body):
    """An image and its copies."""

    keep: DecidedImage = Field(description="The one that is suggested to be kept.")
    why: str = Field(description="Why that one.")
    copies: list[CopyOfImage] = Field(description="The others, the closest first.")


class GroupPage(Body):
    """Groups of copies."""

    groups: list[Group]
    total: int = Field(description="The number of all groups.")
    copies: int = Field(description="The number of images in them that are copies of the one to keep.")
    images: int = Field(description="The number of images of the collection.")
    pending: int = Field(description="The number of images that have not been compared with others yet.")
    marked: int = Field(description="The number of images that are marked, to be acted upon.")
    writable: bool = Field(description="Whether this service lets people decide.")


class Deciding(Body):
    """What is decided on images."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": [42, 43], "decision": "marked"}]})

    ids: list[int] = Field(min_length=1, max_length=1000, description="The images, by their ids.")
    decision: DecisionName | None = Field(description="null takes back what was decided.")
