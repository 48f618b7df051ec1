# The gateway. Built from the lock file, without install scripts, run without what only building needs.
FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --ignore-scripts --omit=dev --no-audit --no-fund

FROM node:26-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json ./
COPY bin bin
COPY config config
COPY web web
COPY docker/healthcheck.js docker/
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# A new volume takes over the owner and the mode of the folder it is mounted on.
RUN install -d -o node -g node -m 700 data certs
USER node
EXPOSE 8443 6601
CMD ["node", "bin/stagedoor.js", "serve"]
