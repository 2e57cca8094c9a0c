# Drivers and executors of all streams, and the tweet generator. Contains neither PyTorch nor build tools.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE_IMAGE} AS base
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless tini \
 && rm -rf /var/lib/apt/lists/*

FROM base AS build
COPY docker/uv.txt /tmp/
RUN pip install --quiet --no-cache-dir --require-hashes -r /tmp/uv.txt
WORKDIR /opt/tweet-sentiment
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1
COPY pyproject.toml uv.lock ./
# cpu or gpu (scores with CUDA). Both packages of ONNX Runtime are in uv.lock and install into the same folder, so
# only one of them may be installed.
ARG ACCELERATOR=cpu
RUN if [ "$ACCELERATOR" = gpu ]; then echo --extra gpu --no-install-package onnxruntime; fi > /tmp/accelerator \
 && uv sync --quiet --frozen --no-dev --no-install-project --extra streams $(cat /tmp/accelerator)
COPY README.md ./
COPY spark_apps spark_apps
COPY models models
RUN uv sync --quiet --frozen --no-dev --inexact --extra streams $(cat /tmp/accelerator) \
 && /opt/venv/bin/python -m compileall -q spark_apps
# Spark loads all jars in its own folder: no setting has to list them.
RUN TWEETS_JARS=/opt/jars /opt/venv/bin/python -m spark_apps.session --s3 \
 && spark=$(/opt/venv/bin/python -c 'import pyspark; print(pyspark.__path__[0])') \
 && mv /opt/jars/*/*.jar "$spark/jars/" && rm -rf /opt/jars /root/.ivy2*

FROM base
RUN groupadd -g 185 spark && useradd -K UID_MIN=100 -u 185 -g 185 -d /tmp -M spark \
 && ln -s /opt/venv/lib/python3.11/site-packages/pyspark /opt/spark
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/tweet-sentiment /opt/tweet-sentiment
COPY docker/spark-entrypoint.sh /opt/entrypoint.sh
ENV SPARK_HOME=/opt/spark PATH=/opt/venv/bin:$PATH HOME=/tmp \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYSPARK_PYTHON=/opt/venv/bin/python
# glibc gives each thread a separate arena by default. With the many threads of a JVM, the arenas waste memory.
ENV MALLOC_ARENA_MAX=2
# Driver capabilities that the NVIDIA container runtime provides on GPU nodes.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /tmp
USER 185:185
# tini signals only the main process (no -g). In a driver, that is Python, which stops the JVM after the current batch.
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/entrypoint.sh"]
