# Model jobs: export, evaluation, release. The only image with PyTorch. PyTorch and its CUDA libraries take 5 GB: they
# are installed in one layer, without a build stage that would copy them.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tini && rm -rf /var/lib/apt/lists/* \
 && groupadd -g 185 jobs && useradd -K UID_MIN=100 -u 185 -g 185 -d /tmp -M jobs
WORKDIR /opt/tweet-sentiment
# Triton compiles GPU kernels for training. No job trains a model.
ARG SYNC="/tmp/uv/bin/uv sync --quiet --frozen --no-dev --extra train --extra registry --no-install-package triton"
ARG UV_PROJECT_ENVIRONMENT=/opt/venv UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1
COPY pyproject.toml uv.lock docker/uv.txt ./
RUN python -m venv /tmp/uv && /tmp/uv/bin/pip install --quiet --no-cache-dir --require-hashes -r uv.txt \
 && $SYNC --no-install-project && rm -rf /tmp/uv
COPY README.md ./
COPY spark_apps spark_apps
COPY models models
RUN python -m venv /tmp/uv && /tmp/uv/bin/pip install --quiet --no-cache-dir --require-hashes -r uv.txt \
 && $SYNC --inexact && /opt/venv/bin/python -m compileall -q spark_apps && rm -rf /tmp/uv
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 185:185
ENTRYPOINT ["/usr/bin/tini", "-g", "--"]
