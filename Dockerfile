# Stage 1 builds a virtual environment; stage 2 holds nothing else.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/nexus
COPY requirements.lock .
RUN /opt/nexus/bin/pip install --no-cache-dir --disable-pip-version-check --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY backends backends
COPY gateway gateway
COPY nexus nexus
RUN /opt/nexus/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin nexus \
    && install --directory --owner nexus --group nexus --mode 0700 /data
COPY --from=build /opt/nexus /opt/nexus
ENV PATH=/opt/nexus/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NEXUS_DATA_DIR=/data \
    NEXUS_HOST=0.0.0.0
USER 10001
VOLUME /data
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/health', timeout=2)"]
ENTRYPOINT ["nexus"]
CMD ["serve", "--init"]
