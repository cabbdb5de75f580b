// Sends a form as JSON and shows the response above it, without reloading the page.

const area = document.querySelector("#submission textarea");

// Makes the field as high as its text. Wrapped lines are left to the style sheet (field-sizing).
function fit() {
  area.rows = area.value.split("\n").length;
}

async function answerTo(form) {
  const response = await fetch(form.action, {
    method: form.dataset.method,
    headers: { "Content-Type": "application/json", Accept: "text/html" },
    body: form === area?.form ? area.value : undefined,
  });
  const text = await response.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  const answer = page.getElementById("answer");
  if (answer) return answer;
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

for (const form of document.querySelectorAll("form[data-method]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    const answer = await answerTo(form).catch(unreachable);
    button.disabled = false;
    document.getElementById("answer").replaceChildren(...answer.childNodes);
    document.getElementById("answer").scrollIntoView({ block: "nearest" });
  });
}

if (area) {
  area.addEventListener("input", fit);
  fit();
}
