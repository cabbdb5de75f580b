# The first stage installs everything, so that the final image contains neither pip's cache nor build
# tools. Each file must have its hash from requirements.lock.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary=:all: -r requirements.lock

FROM python:3.11-slim
ENV PATH="/venv/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin orchestrator
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py ./
COPY orchestrator_site orchestrator_site
COPY tasks tasks
COPY safety safety
# There is no collectstatic step: whitenoise serves static files from the installed packages.
RUN python -m compileall -q .
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('ORCHESTRATOR_PORT', '8000') + '/health', timeout=2)"]
CMD ["gunicorn", "--config", "python:orchestrator_site.serving.gunicorn_conf"]
