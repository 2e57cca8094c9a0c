# Every target installs the packages that it needs. Requirements: Python 3.11 to 3.13, and Java 17 or 21.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# uv from the PATH, or a copy that the first target installs into .uv.
UV := $(shell command -v uv || echo .uv/bin/uv)
# --inexact keeps the packages that other targets installed.
SYNC = $(UV) sync --quiet --frozen --inexact
RUN = $(UV) run --no-sync
# The tests that need no cluster, torch, Airflow, helm or terraform.
LOCAL = not chaos and not train and not chart and not cluster and not cluster_s3 and not endurance and not airflow and not terraform
# Processes that run tests: one for two cores, but 2 to 4. Each has a JVM of up to 2 GB, and starts more of them.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? 2 : cores > 8 ? 4 : cores / 2)))
DEMO = .demo
PORT ?= 8501
# Namespace of the installation; its streams run in $(NAMESPACE)-streams.
NAMESPACE ?= tweet-sentiment
REGISTRY ?= localhost
TAG := $(shell sed -n 's/^appVersion: *//p' helm/tweet-sentiment/Chart.yaml)
BUILD ?= $(shell command -v docker >/dev/null && echo docker build || echo buildah build)
IMAGES := spark airflow mlflow dashboard model-jobs
# The base image of all images, e.g. by digest. Empty: the tag in the Dockerfiles.
BASE_IMAGE ?=
# Digests, bills of materials and the packaged chart.
OUT ?= .release/$(TAG)
# The lowest severity on which `make scan` fails.
SEVERITY ?= high
# Your keys, and further options of cosign.
COSIGN_KEY ?=
COSIGN_PUBLIC_KEY ?=
COSIGN_FLAGS ?=
# Values files, separated by spaces; the last one wins.
VALUES ?=
# Time after which `make deploy` stops waiting.
TIMEOUT ?= 15m
# The folder in terraform/examples that `make values` reads.
EXAMPLE ?= minimal

.PHONY: help install install-train run test test-slow test-train test-dags test-chart test-cluster test-cluster-s3 test-endurance test-terraform check-terraform check-versions values chaos fuzz bench images image-s3 push push-chart sbom scan sign verify preflight deploy undeploy restore-drill clean

help: ## show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

install: .venv/.run ## install the tweet-sentiment command into .venv; activate it with: source .venv/bin/activate

install-train: .venv/.train ## install training, export and evaluation too (torch, 5 GB)

run: .venv/.run .jars/.archive ## run the live demo on this machine: tweets, streams, registry and dashboard
	@exec $(RUN) tweet-sentiment demo --home $(DEMO) --port $(PORT)

test: .venv/.test ## lint, types, import contracts, and the tests that need no cluster, torch, Airflow or helm, but the slow ones
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	PYTHONPATH=dags $(RUN) lint-imports
	$(RUN) pytest -n $(WORKERS) --dist loadfile -m "$(LOCAL) and not slow"

test-slow: .venv/.test ## failures around each write, kills, outages, erasures, backups and rebuilds of whole lakes
	$(RUN) pytest -n $(WORKERS) --dist loadfile -m "$(LOCAL) and slow" --durations=15

test-train: .venv/.train ## test training and export on a small model; installs torch
	$(RUN) pytest -m train

test-dags: .venv/.test ## test the DAGs, the reconciler, and with Postgres the migrations; installs Airflow
	@$(SYNC) --extra airflow
	$(RUN) pytest -n $(WORKERS) --dist loadfile -m airflow tests/dags tests/migrations

test-chart: .venv/.test ## test the rendered chart; needs helm
	$(RUN) pytest -m chart tests/chart

test-cluster: .venv/.train ## install on the cluster of KUBECONFIG, inject every failure, uninstall
	$(RUN) pytest -m cluster -x -s --durations=0 tests/cluster

test-cluster-s3: .venv/.train ## install with storage on a stand-in for S3, kill and freeze; needs its image from `make image-s3`
	$(RUN) pytest -m cluster_s3 -x -s --durations=0 tests/cluster

test-endurance: .venv/.train ## inject outages of minutes on the cluster of KUBECONFIG; takes about ten minutes
	$(RUN) pytest -m endurance -x -s --durations=0 tests/cluster

test-terraform: check-terraform .venv/.dev ## test the Terraform modules, then apply and destroy both examples on moto
	terraform/test.sh
	$(RUN) pytest -m terraform --confcutdir=tests/terraform tests/terraform

check-terraform:
	@command -v terraform >/dev/null || \
	  { echo "error: terraform is not on the PATH: install version 1.10 or later (developer.hashicorp.com/terraform/install)" >&2; exit 2; }
	@command -v helm >/dev/null || \
	  { echo "error: helm is not on the PATH: install version 3.14 or later (helm.sh/docs/intro/install)" >&2; exit 2; }

check-versions: ## warn about versions of Kubernetes and Postgres on AWS that leave support within 60 days
	@$(PYTHON) terraform/check_versions.py

values: ## print chart values for an applied example: make -s values EXAMPLE=production TAG=1.0.0 > values.yaml
	@set -o pipefail; terraform -chdir=terraform/examples/$(EXAMPLE) output -json | $(PYTHON) terraform/values.py $(if $(TAG),--tag $(TAG))

chaos: .venv/.test ## check every total after 200 kills, 50 replaced drivers, outages of S3 and a failure of each write
	$(RUN) pytest -m chaos -s

fuzz: .venv/.test ## read 100,000 damaged documents and check that none affects another document
	$(RUN) python -m tests.fuzz

bench: .venv/.train ## measure the figures of docs/benchmarks.md; with PRICE=0.115 ($ an hour), also the cost; installs torch
	$(RUN) python -m tests.benchmarks $(if $(PRICE),--price $(PRICE))

images: ## build the images with docker or buildah: REGISTRY=localhost BUILD="docker build"
	@for image in $(IMAGES); do echo "building $(REGISTRY)/tweet-sentiment-$$image:$(TAG)"; \
	  $(BUILD) -q $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) -t $(REGISTRY)/tweet-sentiment-$$image:$(TAG) -f docker/$$image.Dockerfile . || exit; done

image-s3: ## build the image of the stand-in for S3 of `make test-cluster-s3`
	@$(BUILD) -q $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) -t localhost/tweet-sentiment-s3:$(TAG) -f tests/cluster/s3.Dockerfile .

PUBLISH = REGISTRY='$(REGISTRY)' TAG='$(TAG)' IMAGES='$(IMAGES)' OUT='$(OUT)' BUILD='$(BUILD)' SEVERITY='$(SEVERITY)' \
  COSIGN_KEY='$(COSIGN_KEY)' COSIGN_PUBLIC_KEY='$(COSIGN_PUBLIC_KEY)' COSIGN_FLAGS='$(COSIGN_FLAGS)' docker/publish

push: ## push the images to REGISTRY, and write their digests to .release/<tag>/digests.yaml as values for `make deploy`
	@$(PUBLISH) push

push-chart: ## push the chart to oci://REGISTRY/charts
	@$(PUBLISH) push-chart

sbom: ## write a bill of materials for each image to .release/<tag>; needs syft
	@$(PUBLISH) sbom

scan: ## fail on a known vulnerability that has a fix: SEVERITY=high; needs grype, after `make sbom`
	@$(PUBLISH) scan

sign: ## sign images and chart with COSIGN_KEY, and attach the bills of materials; needs cosign, after push, push-chart and sbom
	@$(PUBLISH) sign

verify: ## verify the signatures with COSIGN_PUBLIC_KEY; needs cosign
	@$(PUBLISH) verify

preflight: ## check that the cluster of KUBECONFIG has what an installation needs
	@helm/preflight $(NAMESPACE) $(REGISTRY) $(TAG)

deploy: preflight ## install or upgrade on the cluster of KUBECONFIG: NAMESPACE=tweet-sentiment VALUES=my-values.yaml
	@kubectl get namespace $(NAMESPACE) >/dev/null 2>&1 || kubectl create namespace $(NAMESPACE)
	@kubectl label --overwrite namespace $(NAMESPACE) $(NAMESPACE)-streams pod-security.kubernetes.io/enforce=restricted
	@$(PYTHON) helm/deploy.py --namespace $(NAMESPACE) --timeout $(TIMEOUT) $(addprefix --values ,$(VALUES)) \
	  --set image.registry=$(REGISTRY)

restore-drill: ## restore the newest backups of the cluster of KUBECONFIG to scratch volumes and databases, and check them
	@helm/restore-drill $(NAMESPACE)

undeploy: ## uninstall; the lake, the databases and the generated Secrets stay, and are listed
	helm uninstall tweet-sentiment --namespace $(NAMESPACE) --wait
	@# The pod of a failed `helm test`.
	@kubectl -n $(NAMESPACE)-streams delete pod smoke-test --ignore-not-found
	@echo "The following stays, and a new installation continues with it. To delete it for good:"
	@echo "  kubectl delete namespace $(NAMESPACE) $(NAMESPACE)-streams"
	@for namespace in $(NAMESPACE) $(NAMESPACE)-streams; do \
	  kubectl -n $$namespace get persistentvolumeclaims,secrets -l app.kubernetes.io/instance=tweet-sentiment -o name \
	  | sed "s|^|  $$namespace  |"; done

clean: ## remove the demo's data and everything that was installed
	rm -rf $(DEMO) .venv .uv .jars

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11, 3.12 or 3.13 is required: run make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet uv || \
	  { rm -rf .uv; echo "error: cannot install uv: connect to the network (and on Debian: apt install python3-venv), or install uv yourself" >&2; exit 2; }

# A stamp file newer than the lock file means that the environment is up to date.
.venv/.run: uv.lock pyproject.toml $(if $(filter .uv/%,$(UV)),$(UV))
	@echo "installing Python packages and Spark's jars (about 1 GB, first run only)"
	@$(SYNC) --no-dev --extra streams --extra dashboard --extra registry || \
	  { echo "error: cannot install the packages (see above): the first run needs the network" >&2; exit 2; }
	@$(RUN) python -m spark_apps.session
	@touch $@

# A class data sharing archive: the demo's JVM maps Spark's classes instead of loading and verifying them. The archive is
# valid for one class path. The path contains the compiled log stores, so their sources are dependencies.
.jars/.archive: .venv/.run $(wildcard spark_apps/lake/*.java)
	@echo "creating a class archive that shortens each start of the demo (200 MB, about a minute, first run only)"
	@$(RUN) python -m spark_apps.demo.jvm
	@touch $@

# For tests that do not start Spark.
.venv/.dev: uv.lock pyproject.toml $(if $(filter .uv/%,$(UV)),$(UV))
	@$(SYNC) || { echo "error: cannot install the packages (see above): the first run needs the network" >&2; exit 2; }
	@touch $@

.venv/.test: .venv/.run
	@$(SYNC) --extra streams --extra dashboard --extra registry --extra server
	@$(RUN) python -m spark_apps.session --s3
	@touch $@

.venv/.train: .venv/.test
	@echo "installing torch and transformers (about 5 GB, first run only)"
	@# onnxruntime-gpu would overwrite the files of onnxruntime.
	@$(SYNC) --all-extras --no-extra gpu
	@touch $@
