module.exports = { apps: [{ name: "gone", script: "dist/not-built.js", user: "nobody-here", cwd: "/srv/nowhere", env: { PORT: 1 } }] };
