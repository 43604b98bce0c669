module.exports = {
  apps: [
    { name: "site", script: "serve", env: { PM2_SERVE_PATH: "./public", PM2_SERVE_PORT: 8080, PM2_SERVE_SPA: "true", PM2_SERVE_HOMEPAGE: "/index.html" } },
  ],
  static: [{ path: "./public", port: 9000 }],
};
