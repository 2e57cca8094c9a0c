# A stand-in for S3, for the tests of an installation on S3. It keeps all objects in memory.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
COPY docker/uv.txt /tmp/
RUN pip install --quiet --no-cache-dir --require-hashes -r /tmp/uv.txt
WORKDIR /opt/s3
# moto would take the first label of the Service's host name for the bucket.
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never PYTHONDONTWRITEBYTECODE=1 \
    S3_IGNORE_SUBDOMAIN_BUCKETNAME=true
COPY pyproject.toml uv.lock ./
RUN uv sync --quiet --frozen --no-install-project --only-group s3
COPY tests/s3_server.py tests/
USER 185:185
# A signal cannot freeze the first process of a container.
CMD ["sh", "-c", "/opt/venv/bin/python -m tests.s3_server & echo $! >/tmp/server.pid; wait"]
