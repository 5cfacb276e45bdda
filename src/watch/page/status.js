/*
 * Draws status.json (tables/report.def) and keeps it fresh.
 *
 * Every value is hostile: it reaches the page as text or as a number in an attribute, never as markup. Each
 * answer is drawn whole into a tree of plain objects; patch() changes what differs, so focus and scroll stay.
 */
(() => {
  "use strict";

  const EVERY_MS = 5000, HIDDEN_MS = 60000, PATIENCE_MS = 9000, SLOWEST_MS = 60000;
  const DAY = 86400;
  const $ = (id) => document.getElementById(id);

  // ---- colors: applied before the first paint -------------------------------------------------------------
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remember = (store, key, value) => {
    try { value === null ? store.removeItem(key) : store.setItem(key, value); } catch { /* private windows forget */ }
  };
  const recall = (store, key) => {
    try { return store.getItem(key); } catch { return null; }
  };
  const chosen = () => (["light", "dark"].includes(recall(localStorage, "pgseal-theme")) ? recall(localStorage, "pgseal-theme") : "auto");
  const paint = (theme) => {
    document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
  };
  let theme = chosen();
  paint(theme);
  dark.addEventListener("change", () => paint(theme));

  // ---- a tree, and how it gets onto the page -----------------------------------------------------------------
  const SVG = new Set(["svg", "rect", "line", "text", "circle", "path"]);
  const h = (tag, attrs, ...children) => ({ tag, attrs: attrs || {}, children: children.flat(3).filter((c) => c !== null && c !== undefined && c !== false && c !== "") });

  function make(v) {
    if (typeof v !== "object") return document.createTextNode(String(v));
    return SVG.has(v.tag) ? document.createElementNS("http://www.w3.org/2000/svg", v.tag) : document.createElement(v.tag);
  }

  function fits(node, v) {
    if (typeof v !== "object") return node.nodeType === Node.TEXT_NODE;
    return node.nodeType === Node.ELEMENT_NODE && node.localName === v.tag && (node.treeKey ?? null) === (v.attrs.key ?? null);
  }

  function dress(node, attrs) {
    node.treeKey = attrs.key ?? null;
    for (const { name } of [...node.attributes]) if (!(name in attrs) || attrs[name] === null) node.removeAttribute(name);
    for (const [name, value] of Object.entries(attrs)) {
      if (name !== "key" && value !== null && node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
    }
  }

  function patch(parent, wanted) {
    let node = parent.firstChild;
    for (const v of wanted) {
      let found = node;
      while (found && !fits(found, v)) found = found.nextSibling;
      if (!found) found = parent.insertBefore(make(v), node);
      while (node && node !== found && node.parentNode) {   // what stands between is gone from the answer
        const next = node.nextSibling;
        if (found.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_PRECEDING) node.remove();
        else break;
        node = next;
      }
      if (typeof v !== "object") {
        if (found.nodeValue !== String(v)) found.nodeValue = String(v);
      } else {
        dress(found, v.attrs);
        patch(found, v.children);
      }
      node = found.nextSibling;
    }
    while (node) {
      const next = node.nextSibling;
      node.remove();
      node = next;
    }
  }

  // ---- words for values ----------------------------------------------------------------------------------------
  let now = 0;                                   // the gate's clock, in seconds
  const seconds = (iso) => Date.parse(iso) / 1000;
  const number = (n) => Number(n || 0).toLocaleString("en-US");
  const many = (n, one, more) => `${number(n)} ${Number(n) === 1 ? one : more || one + "s"}`;
  const base = (path) => (known.dir && String(path).startsWith(`${known.dir}/`) ? path.slice(known.dir.length + 1) : String(path || "").split("/").pop());
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const day = (s) => { const d = new Date(s * 1000); return `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()}`; };
  const exact = (iso) => iso.replace("T", " ").replace(/\.\d+Z$/, " UTC");

  function span(s) {
    s = Math.max(0, Math.round(s));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    const [unit, big, small, part] = s < DAY ? ["h", 3600, 60, "min"] : ["d", DAY, 3600, "h"];
    const rest = s < 10 * big ? Math.floor(s % big / small) : 0;
    return `${number(Math.floor(s / big))} ${unit}${rest ? ` ${rest} ${part}` : ""}`;
  }

  function bytes(n) {
    const units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let i = 0;
    for (n = Number(n || 0); n >= 1000 && i < units.length - 1; i++) n /= 1000;
    return `${i && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
  }

  const ago = (iso) => iso ? h("time", { datetime: iso, title: exact(iso) }, now - seconds(iso) < 2 ? "now" : `${span(now - seconds(iso))} ago`) : "never";
  const dash = (v) => (v === null || v === undefined || v === "" ? h("span", { class: "soft" }, "–") : String(v));
  const list = (v) => (Array.isArray(v) ? v.join(", ") : v);
  const common = (dn) => (/(?:^|[,/] ?)CN ?= ?((?:\\.|[^,/])+)/.exec(dn || "") || [null, dn])[1];

  const SHAPES = {
    ok: "M6 0a6 6 0 1 0 0 12A6 6 0 0 0 6 0Z", warning: "M6 .5 12 11.5H0Z", critical: "M3.5 0h5L12 3.5v5L8.5 12h-5L0 8.5v-5Z", none: "M1 5h10v2H1Z",
  };
  const mark = (kind, word) => h("span", { class: `mark ${kind}` }, h("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, h("path", { d: SHAPES[kind] })), word);

  function masked(address, mask) {
    if (!mask) return address;
    const v4 = mask.split(".");
    const ones = (n) => { let c = 0; for (; n; n &= n - 1) c++; return c; };
    const bits = v4.length === 4 ? v4.reduce((sum, n) => sum + ones(Number(n)), 0)
      : mask.split(":").reduce((sum, n) => sum + ones(parseInt(n || "0", 16)), 0);
    return `${address}/${bits}`;
  }

  /** A table, or cards where it has no room; columns: [title, class, cell of a row]. The roles stay when display changes. */
  function table(label, columns, rows, attrs) {
    return h("div", { class: columns.length > 6 || columns.some(([, kind]) => kind === "long") ? "table wide" : "table" },
      h("table", { role: "table", "aria-label": label },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(([title, kind]) => h("th", { scope: "col", role: "columnheader", class: kind || null }, title)))),
        h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row", ...(attrs ? attrs(row) : {}) },
          columns.map(([title, kind, cell], i) => (i ? h("td", { role: "cell", class: kind || null, "data-label": title }, cell(row))
            : h("th", { scope: "row", role: "rowheader", class: kind || null }, cell(row)))))))));
  }

  const bar = (share, kind) => h("svg", { class: "bar", "aria-hidden": "true" }, h("rect", { class: "rail", width: "100%", height: "100%", rx: 2 }),
    share > 0 && h("rect", { class: kind || "", width: `${Math.max(1, Math.min(100, share * 100)).toFixed(2)}%`, height: "100%", rx: 2 }));
  const none = (text) => h("p", { class: "soft" }, text);

  // ---- commands to paste ---------------------------------------------------------------------------------------
  const shell = (word) => (/^[\w.,:@%+=/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  const identifier = (name) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
  const directory = (path) => String(path || "").replace(/[^/]*$/, "").replace(/(.)\/$/, "$1");
  let known = {};                                // of the gate; see learn()

  function learn(data) {
    const g = data.gate || {}, server = (data.certificates || []).find((r) => r.kind === "server" && r.sans);
    const names = ((server && server.sans) || []).filter((name) => /^dns:/i.test(name) && !name.includes("*")).map((name) => name.slice(4));
    const dir = directory(((data.rules || [])[0] || {}).file_name);
    const file = (name) => name && (name.startsWith("/") || !dir ? name : `${dir}/${name}`);
    const listed = (g.listen_addresses || "").split(",").map((name) => name.trim()).filter((name) => name && name !== "*");
    known = { dir, port: g.port, database: g.status_database, host: names[0] || listed[0], ssl_cert_file: file(g.ssl_cert_file), ssl_ca_file: file(g.ssl_ca_file), ssl_crl_file: file(g.ssl_crl_file) };
  }

  /** A hint with what the gate knows in place of the words in capitals; about: a row of failing_clients. What nobody knows stays. */
  function fill(hint, about) {
    const { user_name: user, client_addr: address, sni } = about || {};
    const values = [
      [/\bHOST:PORT\b/g, known.host && `${shell(known.host)}:${known.port}`], [/--host HOST\b/g, (sni || known.host) && `--host ${shell(sni || known.host)}`],
      [/--host NAME\b/g, sni && `--host ${shell(sni)}`],
      [/\bssl_(?:cert|ca|crl)_file\b/g, (name) => (known[name] ? shell(known[name]) : name)],
      [/-D DIR\b/g, known.dir && `-D ${shell(known.dir)}`], [/\bpgseal ident pg_ident\.conf/g, known.dir && `pgseal ident ${shell(`${known.dir}/pg_ident.conf`)}`],
      [/\bpgseal cert renew(?=$|[,;])/g, known.dir && `pgseal cert renew -D ${shell(known.dir)} server`],
      [/\bpgseal cert (issue|renew)(?= NAME| --host)/g, (_, verb) => (known.dir ? `pgseal cert ${verb} -D ${shell(known.dir)}` : `pgseal cert ${verb}`)],
      [/(cert (?:issue|renew)(?: -D (?:'[^']*'|\S+))?) NAME\b/g, user && ((_, command) => `${command} ${shell(user)}`)],
      [/\baddr=A\b/g, address && `addr=${shell(address)}`], [/\buser=U\b/g, user && `user=${shell(user)}`],
      [/\\password USER\b/g, user && (() => `\\password ${identifier(user)}`)], [/\bALTER ROLE USER\b/g, user && (() => `ALTER ROLE ${identifier(user)}`)],
    ];
    return values.reduce((text, [words, value]) => (value ? text.replace(words, typeof value === "string" ? () => value : value) : text), String(hint));
  }

  const failing = (data, cause) => (data.failing_clients || []).find((r) => r.cause === cause);

  // ---- verdict -------------------------------------------------------------------------------------------------
  function drawVerdict(data) {
    const reasons = [...(data.not_ready ? [{ severity: "warning", section: "verdict", what: data.not_ready, next: "/readyz answers 503, so that balancers send new clients elsewhere" }] : []), ...(data.reasons || [])], worst = reasons.some((r) => r.severity === "critical") ? "critical" : "warning";
    const failed = Object.keys(data.errors || {});
    const kind = reasons.length ? worst : failed.length ? "warning" : "ok";
    const title = reasons.length ? `Look here: ${many(reasons.length, "reason")}` : failed.length ? "The status is incomplete" : "All is well";

    $("verdict").className = kind;
    patch($("verdict-title"), [title]);
    document.title = `${title} · pgseal`;
    patch($("reasons"), [
      reasons.length > 0 && h("ul", { class: "reasons" }, reasons.map((r) => h("li", {},
        mark(r.severity === "critical" ? "critical" : "warning", r.severity),
        h("div", {}, h("a", { href: `#${r.section === "failures" || SECTIONS[r.section] ? r.section : "verdict"}` }, r.what),
          r.next && h("p", { class: "next small" }, fill(r.next, r.section === "failures" ? failing(data, r.what.split(",")[0]) : null)))))),
      data.strangers && data.strangers.failures > 0 && h("p", { class: "note small" },
        h("a", { href: "#failures" }, many(data.strangers.failures, "failed connection")), ` in the last hour came from ${many(data.strangers.addresses, "address", "addresses")} where no client was ever admitted; they do not count.`),
      ...failed.map((name) => h("p", { class: "small" }, `The query “${name}” failed: ${data.errors[name]}`)),
    ].filter(Boolean));
    const g = data.gate;
    patch($("cluster"), g && g.cluster_name ? [g.cluster_name] : []);
    if (!g) return;
    const fact = (term, ...value) => h("div", {}, h("dt", {}, term), h("dd", {}, value));
    patch($("facts"), [h("dl", { class: "facts" },
      fact("Sessions", number(g.sessions), h("span", { class: "soft" }, ` of ${number(g.max_connections)}`)),
      fact("Configuration", `generation ${g.generation}`, h("span", { class: "soft" }, ", loaded ", ago(g.loaded_at))),
      fact("Started", h("time", { datetime: g.started_at, title: exact(g.started_at) }, `${span(now - seconds(g.started_at))} ago`)),
      fact("TLS", g.ssl ? `${g.ssl_min_protocol_version} and up` : "off"),
      fact("Listens on", g.listen_addresses ? `${g.listen_addresses}, port ${g.port}` : "Unix-domain sockets only"),
      fact("Version", `pgseal ${g.version}`))]);
  }

  // ---- certificates --------------------------------------------------------------------------------------------
  const KINDS = {
    server: "Server certificate", chain: "Chain", "client ca": "CA of clients", crl: "Revocation list",
    "upstream ca": "CA of the upstream server", "upstream client": "Own certificate upstream",
    "peer ca": "CA of other gates", "peer client": "Own certificate to other gates",
    "check ca": "CA of upstream_check_url", "check client": "Own certificate to upstream_check_url",
    "chain root": "Root CA that clients have", "next server": "Server certificate from the next CA", canary: "Canary certificate", http: "Certificate of http_listen",
  };

  /** The stretch of time that is drawn: what is renewed decides, a CA of ten years only runs off the edge. */
  function stretch(rows) {
    const dated = rows.filter((r) => r.not_after && r.not_before);
    const own = dated.filter((r) => ["server", "crl", "upstream client", "peer client", "check client", "next server", "canary", "http"].includes(r.kind));
    const use = own.length ? own : dated;
    const most = (values, low, high) => Math.min(high, Math.max(low, ...values));
    const ahead = 1.15 * most(use.map((r) => seconds(r.not_after) - now), 30 * DAY, 400 * DAY);
    const back = most(use.map((r) => 1.1 * (now - seconds(r.not_before))), 0.12 * ahead, 0.7 * ahead);
    return { from: now - back, until: now + ahead };
  }

  function ticks({ from, until }) {
    const found = [], days = (until - from) / DAY;
    if (days > 130) {
      const step = [1, 2, 3, 6].find((m) => days / 30.4 / m <= 8) || 12, d = new Date(from * 1000);
      for (let m = d.getUTCFullYear() * 12 + d.getUTCMonth() + 1; found.length < 40; m++) {
        const at = Date.UTC(Math.floor(m / 12), m % 12, 1) / 1000;
        if (at >= until) break;
        if (m % step === 0) found.push([at, m % 12 ? MONTHS[m % 12] : String(Math.floor(m / 12))]);
      }
    } else {
      const step = [1, 2, 5, 7, 14].find((n) => days / n <= 10) || 14;
      for (let at = Math.ceil(from / DAY) * DAY; at < until; at += step * DAY) {
        const d = new Date(at * 1000);
        found.push([at, `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`]);
      }
    }
    return found;
  }

  function lifeBar(row, view, grid) {
    const x = (s) => Math.min(1, Math.max(0, (s - view.from) / (view.until - view.from)));
    const percent = (v) => `${(100 * v).toFixed(3)}%`;
    const box = (kind, from, until, y, height) => x(until) > x(from) &&
      h("rect", { class: kind, x: percent(x(from)), width: percent(x(until) - x(from)), y, height });
    const begin = seconds(row.not_before), end = row.not_after ? seconds(row.not_after) : Infinity;
    const renew = row.not_after ? end - (end - begin) / 3 : Infinity, over = end <= now;
    const label = `${KINDS[row.kind] || row.kind}: from ${day(begin)} ${row.not_after ? `until ${day(end)}, renewal due from ${day(renew)}` : "without expiry"}`;
    return h("svg", { class: "life", role: "img", "aria-label": label },
      h("rect", { class: "rail", width: "100%", y: 5, height: 12 }),
      grid.map(([at]) => h("line", { class: "grid", x1: percent(x(at)), x2: percent(x(at)), y1: 5, y2: 17 })),
      over ? box("over", begin, end, 5, 12) : [box("past", begin, Math.min(now, end), 5, 12), box("span", Math.max(now, begin), end, 5, 12), box("zone", Math.max(renew, begin), end, 13, 4)],
      h("line", { class: "now", x1: percent(x(now)), x2: percent(x(now)), y1: 0, y2: 22 }));
  }

  function axis(view, grid) {
    const x = (s) => (s - view.from) / (view.until - view.from), here = x(now);
    return h("li", { class: "axis", "aria-hidden": "true" }, h("div", { class: "who" }), h("div", { class: "rail-box" },
      h("svg", { class: "ticks" },
        grid.filter(([at]) => Math.abs(x(at) - here) > 0.075 && x(at) < 0.95 && x(at) > 0.02)
          .map(([at, label], i) => h("text", { class: i % 2 ? "odd" : x(at) < 0.08 || Math.abs(x(at) - here) < 0.18 ? "near" : null, x: `${(100 * x(at)).toFixed(3)}%`, y: 14, "text-anchor": "middle" }, label)),
        h("text", { class: "now", x: `${(100 * here).toFixed(3)}%`, y: 14, "text-anchor": "middle" }, "now"))), h("div", { class: "left" }));
  }

  function lifeState(row) {
    const status = String(row.status || "ok"), kind = status.startsWith("critical") ? "critical" : status.startsWith("warning") ? "warning" : "ok";
    if (!row.not_before) return [mark(kind, "unreadable"), h("span", { class: "small" }, status.replace(/^\w+: /, ""))];
    if (!row.not_after) return [mark(kind, "no end")];
    const left = seconds(row.not_after) - now;
    const word = left <= 0 ? "expired" : seconds(row.not_before) > now ? "not yet valid" : left < DAY ? `${span(left)} left` : `${many(row.days_left, "day")} left`;
    return [mark(kind, word), h("div", { class: "small soft" }, `${left > 0 ? "until" : "since"} `, h("time", { datetime: row.not_after, title: exact(row.not_after) }, day(seconds(row.not_after))))];
  }

  function drawCertificates(data) {
    const rows = data.certificates, total = data.gate ? data.gate.certificates : rows.length;
    if (!rows.length) return [none("No certificate is in use: ssl is off, and no upstream connection asks for one.")];
    const view = stretch(rows), grid = ticks(view);
    const item = (r) => h("li", {},
      h("div", { class: "who" }, h("h3", {}, KINDS[r.kind] || r.kind),
        h("span", { class: "small mono", title: r.file }, base(r.file))),
      h("div", { class: "rail-box" }, r.not_before && lifeBar(r, view, grid)),
      h("div", { class: "left" }, lifeState(r)),
      h("p", { class: "what small soft" }, [
        r.served === false && mark("critical", "clients are shown another one"), r.served === false && " · ",
        r.subject ? common(r.subject) : r.issuer ? `of ${common(r.issuer)}` : null,
        r.sans && ` · for ${r.sans.map((name) => name.replace(/^(dns|ip|email|uri):/i, "")).join(", ")}`,
        r.key && ` · ${r.key}`, r.issuer && r.subject && (r.issuer === r.subject ? " · self-signed" : ` · by ${common(r.issuer)}`),
        r.life_left !== null && r.life_left > 0 && ` · ${Math.round(r.life_left * 100)} % of its life left`,
        r.served === true && " · served as on disk"]));
    return [
      h("ol", { class: "lives" }, axis(view, grid), rows.map(item)),
      h("p", { class: "key", "aria-hidden": "true" },
        [["past", "elapsed"], ["span", "remaining"], ["zone", "last third: due for renewal"]].map(([kind, word]) =>
          h("span", {}, h("svg", { class: "life" }, h("rect", { class: kind, width: "100%", height: "100%" })), word))),
      total > rows.length && none(`${number(total - rows.length)} more in pgseal_certificates.`)];
  }

  // ---- sessions and rules ----------------------------------------------------------------------------------------
  const TRANSPORTS = { "TLSv1.3": "", "TLSv1.2": "good", "TLSv1.1": "warning", TLSv1: "warning", plaintext: "critical", "Unix-domain socket": "local" };

  function drawSessions(data) {
    const rows = data.transports, total = rows.reduce((sum, r) => sum + r.sessions, 0);
    if (!rows.length) return [none("Nobody is connected.")];
    return [
      h("ul", { class: "shares" }, rows.map((r) => h("li", {},
        h("span", {}, r.transport === "plaintext" ? mark("critical", "plaintext") : r.transport),
        bar(r.sessions / total, TRANSPORTS[r.transport] ?? "warning"), h("span", { class: "number" }, number(r.sessions)),
        h("span", { class: "more" }, `${many(r.users, "user")}${r.addresses ? ` from ${many(r.addresses, "address", "addresses")}` : ""}, ${bytes(r.bytes_in)} in, ${bytes(r.bytes_out)} out`)))),
      (data.ciphers || []).length > 0 && table("Ciphers in use", [
        ["Version", "tight", (r) => dash(r.tls_version)], ["Cipher", "broad", (r) => dash(r.tls_cipher)], ["Group", "", (r) => dash(r.tls_group)],
        ["Sessions", "number", (r) => number(r.sessions)]], data.ciphers)];
  }

  function neverReached(rule) {
    const lines = (rule.covered_by || []).map(base);
    return lines.length > 1 ? `never reached: ${list(lines)} together match all` : `never reached: rule ${rule.shadowed_by} matches all`;
  }

  function drawRules(data) {
    const rows = [...data.rules].sort((a, b) => a.rule_number - b.rule_number), most = Math.max(1, ...rows.map((r) => r.sessions));
    if (!rows.length) return [none("pg_hba.conf has no rule: every connection is refused.")];
    const total = data.gate ? data.gate.rules : rows.length;
    return [table("Rules in force and how often they matched", [
      ["Line", "tight", (r) => h("span", { class: "mono", title: r.file_name }, `${base(r.file_name)}:${r.line_number}`)],
      ["Type", "tight", (r) => dash(r.type)], ["Database", "any", (r) => dash(list(r.database))], ["User", "any", (r) => dash(list(r.user_name))],
      ["Address", "", (r) => dash(r.address && masked(r.address, r.netmask))],
      ["Method", "broad", (r) => [r.auth_method, r.options && h("span", { class: "soft" }, ` ${list(r.options)}`)]],
      ["Sessions", "tight number", (r) => [r.sessions > 0 && bar(r.sessions / most), number(r.sessions)]],
      ["Hits", "number", (r) => number(r.hits)], ["Last hit", "time", (r) => ago(r.last_hit)],
      ...(rows.some((r) => r.shadowed_by) ? [["Note", "", (r) => (r.shadowed_by ? mark("warning", neverReached(r)) : "")]] : []),
    ], rows, (r) => (r.hits ? {} : { class: "unused" })),
    total > rows.length && none(`The ${rows.length} busiest of ${number(total)} rules; all are in pgseal_rules.`)];
  }

  // ---- failures and clients ----------------------------------------------------------------------------------------
  function trend(row) {
    const counts = (row.recent || []).map(Number), most = Math.max(1, ...counts), width = 100 / Math.max(1, counts.length);
    const label = `${row.last_hour > 0 ? number(row.last_hour) : "none"} in the last hour`;
    return h("div", { class: "trend" },
      row.last_hour > 0 && h("svg", { role: "img", "aria-label": `${label}, by five minutes: ${counts.join(", ")}` },
        h("rect", { class: "rail", y: 33, width: "100%", height: 1 }),
        counts.map((n, i) => h("rect", { x: `${(i * width + 0.6).toFixed(2)}%`, width: `${(width - 1.2).toFixed(2)}%`, y: (33 - 31 * n / most).toFixed(1), height: (31 * n / most).toFixed(1) }))),
      h("span", {}, label));
  }

  function drawFailures(data) {
    if (!data.failures.length) return [none("No connection has failed since the gate started.")];
    return [
      h("ul", { class: "causes" }, data.failures.map((r) => h("li", {},
        h("div", {}, h("h3", {}, r.cause), h("p", { class: "small soft" }, `${many(r.count, "time")} from ${many(r.addresses, "address", "addresses")}, last `, ago(r.last_seen))),
        trend(r),
        h("p", { class: "small" }, r.likely ? `Likely: ${r.likely}.` : "", r.hint && h("span", { class: "next" }, "Next: ", h("span", { class: "mono" }, fill(r.hint, failing(data, r.cause)))))))),
      h("h3", {}, "Latest, by client"),
      table("Latest failures by client", [
        ["Client", "", (r) => dash(r.client_addr || "Unix-domain socket")], ["Cause", "broad", (r) => dash(r.cause)], ["User", "any", (r) => dash(r.user_name)],
        ["Asked for", "broad", (r) => dash(r.sni)], ["TLS", "tight", (r) => dash(r.tls_version)], ["Alert", "broad", (r) => dash(r.alert)],
        ["Times", "number", (r) => number(r.count)], ["Last", "time", (r) => ago(r.last_seen)]], data.failing_clients || [])];
  }

  function drawClients(data) {
    const t = data.tightening, admitted = data.clients.filter((r) => r.sessions > 0), others = data.clients.filter((r) => !(r.sessions > 0));
    if (!data.clients.length) return [none("No client has been seen yet.")];
    const step = (setting, n, words) => h("li", {}, h("span", { class: "mono" }, setting),
      n > 0 ? mark("warning", `${number(n)} of ${many(t.clients, "admitted client")} connected ${words}`) : mark("ok", "would affect no admitted client"));
    const tried = t ? t.verify + t.verify_chain + t.verify_not : 0;      // by canary
    const verify = () => h("li", {}, h("span", { class: "mono" }, "verify-full everywhere"), t.verify === t.clients ? mark("ok", "is what every admitted client does")
      : mark(t.verify_not ? "critical" : "warning", `${number(t.verify)} of ${many(t.clients, "admitted client")} would notice an impostor, ${number(t.verify_chain)} perhaps, ${number(t.verify_not)} not, ${number(t.clients - tried)} not tried out`));
    const next = () => h("li", {}, h("span", { class: "mono" }, "a new CA"), mark(t.next_ca_refused ? "warning" : t.next_ca === t.clients ? "ok" : "none",
      `${number(t.next_ca)} of ${many(t.clients, "admitted client")} accepted its chain, ${number(t.next_ca_refused)} refused it`));
    const rest = (total, shown) => total > shown && none(`${number(total - shown)} more in pgseal_clients.`);
    return [
      t && t.clients > 0 && h("ul", { class: "steps" }, step("hostssl everywhere", t.hostssl, "without TLS"),
        step("ssl_min_protocol_version = TLSv1.2", t.tls12, "with an older version"), step("ssl_min_protocol_version = TLSv1.3", t.tls13, "with an older version"), tried > 0 && verify(), t.rollover && next()),
      ...(admitted.length ? [h("h3", {}, `Admitted: ${number(t ? t.clients : admitted.length)}`), clientTable("Admitted clients, the weakest first", admitted), t && rest(t.clients, admitted.length)] : []),
      ...(others.length ? [h("h3", {}, `Never admitted: ${number(t ? t.never_admitted : others.length)}`), clientTable("Clients that were never admitted", others), t && rest(t.never_admitted, others.length)] : [])];
  }

  const clientTable = (label, rows) =>
      table(label, [
        ["Weakness", "tight", (r) => (r.weakness ? mark(!(r.sessions > 0) || r.weakness === "TLS 1.2" ? "none" : r.weakness === "plaintext" ? "critical" : "warning", r.weakness) : mark("ok", "none seen"))],
        ["User", "any", (r) => (r.user_name === null ? h("span", { class: "soft" }, "not given") : dash(r.user_name))], ["Address", "", (r) => dash(r.client_addr || "Unix-domain socket")], ["Application", "any", (r) => dash(r.application_name)],
        ["Weakest TLS", "tight", (r) => dash(r.weakest_tls)], ["sslmode seen", "broad", (r) => dash(r.sslmode)], ["Verifies", "tight", (r) => dash(r.verifies === "unknown" ? null : r.verifies)], ["Plaintext", "number", (r) => number(r.plaintext_attempts)], ["TLS failed", "number", (r) => number(r.tls_failures)],
        ["Sessions", "number", (r) => number(r.sessions)], ["Last seen", "time", (r) => ago(r.last_seen)]], rows);

  // ---- upstream, reloads, findings -----------------------------------------------------------------------------------
  function drawUpstream(data) {
    const verified = { full: ["ok", "CA and name"], ca: ["ok", "CA"], no: ["warning", "not verified"] };
    const state = (r) => (r.reachable === null ? mark("none", "not tried yet") : r.reachable ? mark("ok", "reached") : mark("critical", "not reached"));
    if (!data.upstreams.length) return [none("No upstream server is configured: only the status database is served.")];
    return [
      h("ul", { class: "servers" }, data.upstreams.map((r) => h("li", {},
        h("div", {}, h("h3", {}, r.upstream === "default" ? "Server" : `Server of ${r.upstream}`), state(r)),
        h("p", { class: "mono small" }, list(r.hosts)),
        h("p", { class: "small soft" }, `${many(r.connects, "session")} reached it`, r.last_success && [", last ", ago(r.last_success)],
          r.failures > 0 && [`; ${number(r.failures)} did not, last `, ago(r.last_failure)])))),
      (data.upstream_sessions || []).length > 0 && table("Sessions by server", [
        ["Connected to", "", (r) => dash(r.upstream_host)], ["TLS", "tight", (r) => (r.upstream_tls_version ? h("span", { title: r.upstream_tls_cipher || "" }, r.upstream_tls_version) : h("span", { class: "soft" }, "none"))],
        ["Verified", "tight", (r) => (r.upstream_verified ? mark(...(verified[r.upstream_verified] || ["none", r.upstream_verified])) : dash(null))],
        ["Sessions", "number", (r) => number(r.sessions)], ["Active", "time", (r) => (r.last_active ? ago(r.last_active) : dash(null))]], data.upstream_sessions)];
  }

  function drawReloads(data) {
    return [table("Loads of the configuration, the latest first", [
      ["When", "time", (r) => ago(r.loaded_at)], ["Generation", "number", (r) => number(r.generation)], ["Asked by", "tight", (r) => dash(r.trigger)],
      ["Result", "tight", (r) => mark(r.result === "loaded" ? "ok" : r.result === "refused" ? "warning" : "critical", r.result)],
      ["Why", "long", (r) => (r.error ? [r.file_name && h("span", { class: "mono", title: r.file_name }, `${base(r.file_name)}${r.line_number ? `:${r.line_number}` : ""} `), r.error] : "")],
    ], data.reloads)];
  }

  function drawFindings(data) {
    $("findings").hidden = $("to-findings").hidden = !data.findings.length;
    if (!data.findings.length) return [];
    return [table("Findings of the audit", [
      ["Severity", "tight", (r) => mark(r.severity === "high" ? "critical" : r.severity === "medium" ? "warning" : "none", r.severity)],
      ["Check", "broad", (r) => h("span", { class: "mono" }, r.id)], ["Where", "broad", (r) => (r.where ? h("span", { class: "mono", title: r.where }, base(r.where)) : dash(null))], ["What", "long", (r) => dash(r.what)], ["Fix", "long", (r) => dash(r.fix && fill(r.fix))]], data.findings)];
  }

  const SECTIONS = {
    certificates: ["certificates", drawCertificates], sessions: ["transports", drawSessions], rules: ["rules", drawRules], failures: ["failures", drawFailures],
    clients: ["clients", drawClients], upstream: ["upstreams", drawUpstream], reloads: ["reloads", drawReloads], findings: ["findings", drawFindings],
  };

  function draw(data) {
    now = data.gate ? seconds(data.gate.now) : Date.now() / 1000;
    learn(data);
    drawVerdict(data);
    patch($("in-sql"), [known.dir ? `pgseal psql -D ${shell(known.dir)}` : "pgseal psql"]);
    for (const [id, [member, fill]] of Object.entries(SECTIONS)) {
      const shown = Array.isArray(data[member]) ? fill(data) : [none(`Not known: ${(data.errors || {})[member] || "the gate did not say"}`)];
      patch($(id).querySelector(".body"), shown.filter(Boolean));
    }
  }

  // ---- asking again and again ----------------------------------------------------------------------------------------
  let timer = 0, failures = 0, last = 0, asking = false, token = recall(sessionStorage, "pgseal-token"), due = 0;

  function sayLive() {
    const text = !last ? "no answer yet" : Date.now() - last < 1500 ? "updated now" : `updated ${span((Date.now() - last) / 1000)} ago`;
    patch($("live"), [last ? h("time", { datetime: new Date(last).toISOString(), title: exact(new Date(last).toISOString()) }, text) : text]);
    const wait = $("next-try");
    if (wait) patch(wait, [due > Date.now() ? `Next try in ${span((due - Date.now()) / 1000)}.` : "Trying now."]);
  }

  /** Say it in place of the verdict, which is old news now. null: all is well again. */
  function trouble(title, text) {
    document.body.classList.toggle("stale", title !== null && last > 0);
    patch($("trouble"), title === null ? [] : [h("p", {}, text, " ", h("span", { id: "next-try", "aria-hidden": "true" })),
      h("p", {}, h("button", { type: "button", id: "retry" }, "Try now"))]);
    if (title === null) return;
    $("verdict").className = "critical";
    patch($("verdict-title"), [title]);
    document.title = `${title} · pgseal`;
  }

  function askToken(refused) {
    $("token").hidden = false;
    $("verdict").hidden = true;
    document.body.classList.add("waiting");
    if (refused) patch($("token-why"), ["The gate does not accept this token."]);
    trouble(null);
    remember(sessionStorage, "pgseal-token", token = null);
  }

  const since = () => (last ? `What you see is from ${exact(new Date(last).toISOString())}.` : "");

  async function request() {
    const answer = await fetch("status.json", {
      cache: "no-store", credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS),
      headers: token ? { Authorization: `Bearer ${token}` } : {},
    });
    if (answer.status === 401) return askToken(token !== null);
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({}));
      throw new Error(told.error || `HTTP status ${answer.status}`, { cause: "answered" });
    }
    const data = await answer.json();
    $("token").hidden = true;
    $("verdict").hidden = false;
    document.body.classList.remove("waiting");
    last = Date.now();
    failures = 0;
    trouble(null);
    draw(data);
    return undefined;
  }

  async function ask() {
    clearTimeout(timer);
    if (asking) return;
    asking = true;
    try {
      await request();
    } catch (error) {
      failures++;
      if (error.cause === "answered") trouble("The gate has no report", `It answered: ${error.message}. ${since()}`);
      else trouble("The gate does not answer", since() || "It has not answered yet.");
    }
    asking = false;
    if ($("token").hidden) {
      const wait = document.hidden ? HIDDEN_MS : Math.min(SLOWEST_MS, EVERY_MS * 2 ** Math.max(0, failures - 1));
      due = Date.now() + wait;
      timer = setTimeout(ask, wait);
    }
    sayLive();
  }

  document.addEventListener("DOMContentLoaded", () => {
    $("theme").querySelector(`input[value="${theme}"]`).checked = true;
    $("theme").addEventListener("change", (event) => {
      paint(theme = event.target.value);
      remember(localStorage, "pgseal-theme", theme === "auto" ? null : theme);
    });
    $("token").addEventListener("submit", (event) => {
      event.preventDefault();
      token = $("token-text").value.trim();
      $("token-text").value = "";
      if (!/^[\x21-\x7e]+$/.test(token)) return askToken(true);     // no header can carry it
      remember(sessionStorage, "pgseal-token", token);
      return ask();
    });
    document.addEventListener("click", (event) => { if (event.target.id === "retry") ask(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() - last > EVERY_MS) ask(); });
    setInterval(sayLive, 1000);
    ask();
  });
})();
