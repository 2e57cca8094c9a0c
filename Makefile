# Every target sets up what it needs by itself: Python 3.11 to 3.13 and Java 17 or 21 are all that must be there.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# uv from the PATH, or one of our own beside the project.
UV := $(shell command -v uv || echo .uv/bin/uv)
# Only what a target runs is installed, and nothing that another target has installed is removed.
SYNC = $(UV) sync --quiet --frozen --inexact
RUN = $(UV) run --no-sync
DEMO = .demo
PORT ?= 8501
# Where the product is installed; its streams are in the namespace with -streams behind it.
NAMESPACE ?= tweet-sentiment
REGISTRY ?= localhost
TAG := $(shell sed -n 's/^appVersion: *//p' helm/tweet-sentiment/Chart.yaml)
BUILD ?= $(shell command -v docker >/dev/null && echo docker build || echo buildah build)
IMAGES := spark airflow mlflow dashboard model-jobs
VALUES ?=
# Which of terraform/examples `make values` reads; TAG is that of the images.
EXAMPLE ?= minimal

.PHONY: help run test test-train test-dags test-chart test-cluster test-terraform terraform-there values chaos bench images preflight deploy undeploy clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

run: .venv/.run ## the live demo: tweets, streams, registry and dashboard on this machine
	@exec $(RUN) tweet-sentiment demo --home $(DEMO) --port $(PORT)

test: .venv/.test ## all tests of this machine but the long ones: a quarter of an hour on two cores
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) pytest -n 2 --dist loadfile -m "not chaos and not train and not chart and not cluster and not airflow and not terraform"

test-train: .venv/.train ## training and export on a small model of the tests' own; installs torch
	$(RUN) pytest -m train

test-dags: .venv/.test ## the DAGs as Airflow reads them; installs Airflow
	@$(SYNC) --extra airflow
	$(RUN) pytest -m airflow tests/dags

test-chart: .venv/.test ## the chart as helm renders it; needs helm
	$(RUN) pytest -m chart tests/chart

test-cluster: .venv/.train ## install on the cluster of KUBECONFIG, hurt it in every way, remove it: forty minutes
	$(RUN) pytest -m cluster -x -s tests/cluster

test-terraform: terraform-there .venv/.dev ## Terraform: its own tests, then both examples applied to a stand-in for AWS and destroyed
	terraform/test.sh
	$(RUN) pytest -m terraform --confcutdir=tests/terraform tests/terraform

terraform-there:
	@command -v terraform >/dev/null || \
	  { echo "error: no terraform is on the PATH: install 1.10 or later (developer.hashicorp.com/terraform/install)" >&2; exit 2; }
	@command -v helm >/dev/null || \
	  { echo "error: no helm is on the PATH: install 3.14 or later (helm.sh/docs/intro/install)" >&2; exit 2; }

values: ## the chart's values for an applied example: make -s values EXAMPLE=production TAG=1.0.0 > values.yaml
	@set -o pipefail; terraform -chdir=terraform/examples/$(EXAMPLE) output -json | $(PYTHON) terraform/values.py $(if $(TAG),--tag $(TAG))

chaos: .venv/.test ## 200 kills at random instants over all three layers: nothing lost, nothing twice
	$(RUN) pytest -m chaos -s

bench: .venv/.train ## the figures of the README, measured on this machine; installs torch
	$(RUN) python -m tests.benchmarks

images: ## build all images with docker or buildah: REGISTRY=localhost BUILD="docker build"
	@for image in $(IMAGES); do echo "building $(REGISTRY)/tweet-sentiment-$$image:$(TAG)"; \
	  $(BUILD) -q -t $(REGISTRY)/tweet-sentiment-$$image:$(TAG) -f docker/$$image.Dockerfile . || exit; done

preflight: ## name what the cluster of KUBECONFIG lacks for an installation
	@helm/preflight $(NAMESPACE)

deploy: preflight ## install or upgrade on the cluster of KUBECONFIG: NAMESPACE=tweet-sentiment VALUES=my-values.yaml
	@kubectl get namespace $(NAMESPACE) >/dev/null 2>&1 || kubectl create namespace $(NAMESPACE)
	@kubectl label --overwrite namespace $(NAMESPACE) $(NAMESPACE)-streams pod-security.kubernetes.io/enforce=restricted
	helm upgrade --install tweet-sentiment helm/tweet-sentiment --namespace $(NAMESPACE) --reset-values \
	  $(if $(VALUES),--values $(VALUES)) --set image.registry=$(REGISTRY) --wait --timeout 15m

undeploy: ## take the installation away; the lake, the databases and the generated Secrets stay
	helm uninstall tweet-sentiment --namespace $(NAMESPACE) --wait

clean: ## remove the demo's data and what the set-up made
	rm -rf $(DEMO) .venv .uv .jars

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11, 3.12 or 3.13 is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet uv || \
	  { rm -rf .uv; echo "error: uv could not be installed: connect to the network (and on Debian: apt install python3-venv), or install uv by hand" >&2; exit 2; }

# A stamp is younger than the lock file when the environment holds what it says.
.venv/.run: uv.lock pyproject.toml $(if $(filter .uv/%,$(UV)),$(UV))
	@echo "setting up: the Python packages and Spark's jars, once (about 1 GB)"
	@$(SYNC) --no-dev --extra streams --extra dashboard --extra registry || \
	  { echo "error: the packages could not be installed (see above): the first set-up needs the network" >&2; exit 2; }
	@$(RUN) python -m spark_apps.session
	@touch $@

# What only tests need: enough for those that start no Spark.
.venv/.dev: uv.lock pyproject.toml $(if $(filter .uv/%,$(UV)),$(UV))
	@$(SYNC) || { echo "error: the packages could not be installed (see above): the first set-up needs the network" >&2; exit 2; }
	@touch $@

.venv/.test: .venv/.run
	@$(SYNC) --extra streams --extra dashboard --extra registry
	@$(RUN) python -m spark_apps.session --s3
	@touch $@

.venv/.train: .venv/.test
	@echo "setting up: torch and transformers, once (about 5 GB)"
	@# onnxruntime-gpu would be put over onnxruntime.
	@$(SYNC) --all-extras --no-extra gpu
	@touch $@
