from .attributes.apply import AttributesReport as AttributesReport
from .collection.collection import Collection as Collection
from .collection.collection import Info as Info
from .collection.collection import create as create
from .collection.collection import open as open
from .collection.reindex import reindex as reindex
from .encoders.base import Encoder as Encoder
from .encoders.base import TextEncoder as TextEncoder
from .errors import DamagedIndexWarning as DamagedIndexWarning
from .errors import DeviceWarning as DeviceWarning
from .errors import LookalikeError as LookalikeError
from .evaluation.results import Evaluation as Evaluation
from .filters import Between as Between
from .filters import Where as Where
from .images.decode import ImageSource as ImageSource
from .images.decode import Preprocessing as Preprocessing
from .index.build_progress import BuildProgress as BuildProgress
from .index.generation import Generation as Generation
from .index.maintenance import Maintenance as Maintenance
from .ingest.pipeline import Progress as Progress
from .ingest.pipeline import Report as Report
from .results import Match as Match
from .results import Matches as Matches
from .results import Skipped as Skipped
from .search.query import Term as Term

__version__: str
