# The command in a container, without a GPU: docker build -t counteract . && docker run --rm counteract evaluate
# With reports in the current folder: docker run --rm -v "$PWD:/runs" counteract evaluate --out run
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY eval eval
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision \
    && pip install --no-cache-dir "$(echo /wheels/*.whl)[report]" \
    && rm -r /wheels \
    && useradd --create-home counteract
USER counteract
WORKDIR /runs
ENTRYPOINT ["counteract"]
CMD ["--help"]
