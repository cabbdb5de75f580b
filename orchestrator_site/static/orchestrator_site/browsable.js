// Sends the form, with the API key or token in a header, and shows the response above it without reloading
// the page. It stays in its field, and goes nowhere else.

const form = document.getElementById("request");
const key = document.getElementById("key");
const area = document.getElementById("body");

// Makes the field as high as its text. Wrapped lines are left to the style sheet (field-sizing).
function fit() {
  area.rows = area.value.split("\n").length;
}

async function answer() {
  const headers = { Accept: "text/html" };
  if (key.value.trim()) headers.Authorization = `Bearer ${key.value.trim()}`;
  if (area) headers["Content-Type"] = "application/json";
  const response = await fetch(form.action, {
    method: form.dataset.method,
    headers,
    body: area?.value,
  });
  const text = await response.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  const shown = page.getElementById("answer");
  if (shown) return shown;
  const plain = document.createElement("pre");
  plain.id = "answer";
  plain.textContent = `HTTP ${response.status}\n\n${page.querySelector("main")?.innerText ?? text}`;
  return plain;
}

function unreachable() {
  const plain = document.createElement("pre");
  plain.id = "answer";
  plain.textContent = "The service cannot be reached.";
  return plain;
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const shown = await answer().catch(unreachable);
  button.disabled = false;
  document.getElementById("answer").replaceChildren(...shown.childNodes);
  document.getElementById("answer").scrollIntoView({ block: "nearest" });
});

if (area) {
  area.addEventListener("input", fit);
  fit();
}
