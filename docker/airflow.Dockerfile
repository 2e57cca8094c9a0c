# Airflow with the DAGs: API server, scheduler, DAG processor and triggerer. Contains neither Spark nor PyTorch.
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
RUN uv sync --quiet --frozen --no-dev --no-install-project --extra airflow

FROM base
RUN groupadd -g 185 airflow && useradd -K UID_MIN=100 -u 185 -g 185 -d /tmp -M airflow
COPY --from=build /opt/venv /opt/venv
COPY docker/airflow_local_settings.py /opt/airflow/config/
COPY docker/airflow_health.py /opt/airflow/health.py
COPY docker/webserver_config.py /opt/airflow/
COPY docker/migrate/database_lock.py docker/migrate/migrate_airflow.py /opt/migrate/
COPY dags /opt/airflow/dags
RUN /opt/venv/bin/python -m compileall -q /opt/airflow /opt/migrate
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/airflow/config:/opt/airflow/dags HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/tmp/airflow AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags AIRFLOW__CORE__LOAD_EXAMPLES=False
WORKDIR /tmp
USER 185:185
ENTRYPOINT ["/usr/bin/tini", "-g", "--"]
