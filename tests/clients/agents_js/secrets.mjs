// A client secret for `model`, as an application's server makes them for its pages.

export async function secret(model) {
  const answer = await fetch(`${process.env.REPARTEE_BASE_URL}/realtime/client_secrets`, {
    method: "POST",
    headers: { Authorization: `Bearer ${process.env.REPARTEE_API_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ session: { type: "realtime", model }, repartee: { overrides: ["tools"] } }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()).value;
}
