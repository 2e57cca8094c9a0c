# The MLflow server, and the job that registers the bundled model. Contains ONNX Runtime, but no PyTorch.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE_IMAGE} AS base
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tini && rm -rf /var/lib/apt/lists/*

FROM base AS build
COPY docker/uv.txt /tmp/
RUN pip install --quiet --no-cache-dir --require-hashes -r /tmp/uv.txt
WORKDIR /opt/tweet-sentiment
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1
COPY pyproject.toml uv.lock ./
RUN uv sync --quiet --frozen --no-dev --no-install-project --extra registry --extra server
COPY README.md ./
COPY spark_apps spark_apps
COPY models models
RUN uv sync --quiet --frozen --no-dev --inexact --extra registry --extra server \
 && /opt/venv/bin/python -m compileall -q spark_apps

FROM base
RUN groupadd -g 185 mlflow && useradd -K UID_MIN=100 -u 185 -g 185 -d /tmp -M mlflow
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/tweet-sentiment /opt/tweet-sentiment
COPY docker/migrate/database_lock.py docker/migrate/migrate_mlflow.py /opt/migrate/
COPY docker/mlflow_login.py /opt/mlflow/
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/mlflow HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /tmp
USER 185:185
ENTRYPOINT ["/usr/bin/tini", "-g", "--"]
