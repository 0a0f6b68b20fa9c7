const spanish = (navigator.language || "").toLowerCase().startsWith("es");
const words = spanish
  ? { label: "Contraseña", enter: "Entrar", wrong: "Esa no es la contraseña. Está en PINCEL_PASSWORD, en .env.", slow: "Demasiados intentos. Espera un minuto." }
  : { label: "Password", enter: "Enter", wrong: "That is not the password. It is PINCEL_PASSWORD in .env.", slow: "Too many tries. Wait a minute." };
document.documentElement.lang = spanish ? "es" : "en";
document.getElementById("label").textContent = words.label;
document.getElementById("enter").textContent = words.enter;
document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = document.getElementById("password");
  const answer = await fetch("/login", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ password: field.value }) });
  if (answer.ok) location.replace("/");
  document.getElementById("problem").textContent = answer.ok ? "" : words[answer.status === 429 ? "slow" : "wrong"];
  field.select();
});
