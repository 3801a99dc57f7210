// Serves the page for its tests, with the real library and nets (of web/dist) or with a fake of it, under the page's own CSP.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("..", import.meta.url));
const TYPES = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".webp": "image/webp", ".wasm": "application/wasm",
};

/** `fake`: false, or the scenario of page_fake.mjs. It can be changed between page loads. */
export async function serve({ fake }) {
  const policy = /Content-Security-Policy" content="([^"]+)"/.exec(await readFile(join(web, "page/index.html"), "utf8"))[1];
  const site = { fake, requests: [] };
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    site.requests.push(path);
    const file = path === "/" ? "page/index.html"
      : path === "/pkg/impasto.js" && site.fake !== false ? "tests/page_fake.mjs"
      : /^\/(pkg|nets)\//.test(path) ? join("dist", path)
      : join("page", path);
    try {
      let body = await readFile(join(web, file));
      if (file === "tests/page_fake.mjs") body = `const scenario = ${JSON.stringify(site.fake)};\n${body}`;
      response.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream", "cache-control": "no-store", "content-security-policy": policy,
      });
      response.end(body);
    } catch {
      response.writeHead(404, { "content-type": "text/plain" });
      response.end(`no ${path}`);
    }
  });
  await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
  site.url = `http://127.0.0.1:${server.address().port}/`;
  site.close = () => new Promise(resolve => { server.closeAllConnections(); server.close(resolve); });
  return site;
}
