"use strict";

const element = (id) => document.getElementById(id);
const made = (name, className, text) => {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

// What was dropped or chosen, until something is typed.
let fileBytes = null;

function bytesOfText(text) {
  const compact = text.replace(/\s+/g, "");
  if (!compact) throw new Error("There is no token yet.");
  if (/^(0x)?([0-9a-fA-F]{2})+$/.test(compact)) {
    const pairs = compact.replace(/^0x/, "").match(/../g);
    return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
  }
  try {
    const standard = compact.replace(/-/g, "+").replace(/_/g, "/");
    return Uint8Array.from(atob(standard), (c) => c.charCodeAt(0));
  } catch {
    throw new Error("This is neither hex nor base64.");
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { method: "POST", cache: "no-store", ...options });
  } catch {
    throw new Error("The service does not answer.");
  }
  const body = await response.json();
  if (!response.ok) throw new Error(`The service refused: ${body.detail}.`);
  return body;
}

function problem(text) {
  element("problem").textContent = text;
  element("problem").hidden = !text;
}

async function newChallenge() {
  problem("");
  try {
    const { challenge, expires } = await ask(`challenge?length=${element("length").value}`);
    element("challenge").textContent = challenge;
    element("challenge").hidden = false;
    element("copy").hidden = !navigator.clipboard;
    const time = new Date(expires * 1000).toLocaleTimeString();
    element("expiry").textContent = `Can be answered until ${time}.`;
  } catch (error) {
    problem(error.message);
  }
}

async function verify(event) {
  event.preventDefault();
  problem("");
  element("verify").disabled = true;
  try {
    const body = fileBytes ?? bytesOfText(element("token").value);
    const headers = { "Content-Type": "application/octet-stream", Accept: "application/json" };
    show(await ask("verify", { headers, body }));
  } catch (error) {
    element("result").hidden = true;
    problem(error.message);
  } finally {
    element("verify").disabled = false;
  }
}

async function take(file) {
  if (!file) return;
  fileBytes = new Uint8Array(await file.arrayBuffer());
  element("token").value = "";
  element("source").textContent = `${file.name}, ${fileBytes.length} bytes`;
  problem("");
}

const RESULTS = { pass: "✓ passed", fail: "✗ failed", "not-performed": "– not performed" };

function show(answer) {
  const passed = answer.verdict === "pass";
  const result = element("result");
  result.className = answer.verdict;
  element("verdict").textContent = passed ? "✓ Pass" : "✗ Fail";
  element("summary").textContent = summary(answer);
  element("checks").replaceChildren(...answer.checks.map(check));
  chain(answer);
  element("claims-part").hidden = !answer.claims;
  element("claims-note").hidden = passed;
  element("claims").replaceChildren(...pairs(answer.claims ?? {}));
  element("json").textContent = JSON.stringify(answer, null, 2);
  result.hidden = false;
  element("verdict").focus();
  result.scrollIntoView({ block: "start" });
}

function summary({ checks, device, profile }) {
  const failed = checks.filter(({ result }) => result === "fail").map((entry) => entry.check);
  const of = device ? `Device ${device.id}, ${device.state}. ` : "No device of the registry. ";
  const because = failed.length ? ` Failed: ${failed.join(", ")}.` : "";
  return `${of}${profile ? `Profile ${profile}.` : "No known profile."}${because}`;
}

function check({ check, result, detail }) {
  const line = made("li");
  line.append(
    made("span", "name", check),
    made("span", `badge ${result}`, RESULTS[result] ?? result),
    made("span", "detail", detail),
  );
  return line;
}

function chain({ certificates = [], checks }) {
  const path = checks.find(({ check }) => check === "certificate-path");
  element("chain-part").hidden = !certificates.length;
  element("chain").className = `chain ${path?.result ?? ""}`;
  const date = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  const boxes = certificates.map((certificate, index) => {
    const box = made("li");
    box.append(made("strong", "", certificate.subject ?? `Certificate ${index + 1}`));
    box.append(made("span", "", index ? "CA" : "the token's key"));
    if (certificate["not-before"] !== undefined) {
      const { "not-before": from, "not-after": to } = certificate;
      box.append(made("span", "", `${date(from)} to ${date(to)}`));
    }
    return box;
  });
  const last = certificates.at(-1);
  if (last && last.issuer && last.issuer !== last.subject) {
    const anchor = made("li");
    anchor.append(made("strong", "", last.issuer), made("span", "", "trust anchor"));
    const verdict = { pass: "known here", fail: "no path to it" }[path?.result] ?? "not looked for";
    anchor.append(made("span", "", verdict));
    boxes.push(anchor);
  }
  element("chain").replaceChildren(...boxes);
}

function pairs(claims) {
  return Object.entries(claims).flatMap(([name, value]) => {
    const entry = made("dd");
    if (Array.isArray(value)) {
      for (const part of value) {
        const box = made("div", "component");
        const list = made("dl");
        list.append(...pairs(part));
        box.append(list);
        entry.append(box);
      }
    } else if (value !== null && typeof value === "object") {
      const hex = (part) => (typeof part === "number" ? `0x${part.toString(16)}` : part);
      entry.textContent = Object.values(value).map(hex).join(", ");
    } else {
      entry.textContent = value;
      if (/^[0-9a-f]{16,}$/.test(value)) entry.className = "mono";
    }
    return [made("dt", "", name), entry];
  });
}

element("ask").addEventListener("click", newChallenge);
element("copy").addEventListener("click", () =>
  navigator.clipboard.writeText(element("challenge").textContent));
element("form").addEventListener("submit", verify);
element("file").addEventListener("change", (event) => take(event.target.files[0]));
element("token").addEventListener("input", () => {
  fileBytes = null;
  element("source").textContent = "";
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    element("form").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    element("form").classList.remove("over");
  });
}
document.addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
